/**
 * The only globals that are known, and what each makes: torch/_utils.py's rebuilding of tensors as descriptions checked to lie inside
 * their storage. There is no way from a name in a pickle to any other function. Knows neither opcodes nor files.
 */
import { DTENSOR, distributedTensor, RECORDS } from './distributed-tensor.ts';
import { DTYPES, type ElementType, STORAGE_TYPES } from './element-types.ts';
import {
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleRecord,
  PickleTuple,
  type PickleValue,
  type StorageSpec,
  TorchStorage,
  TorchTensor,
} from './pickle-values.ts';

const MAX_DIMENSIONS = 64;
const UNTYPED = 'torch.storage.UntypedStorage';
const WRAPPER = 'torch._utils._rebuild_wrapper_subclass';

/** Says in words what is wrong; the caller adds where. */
export class RebuildFault extends Error {}

type Arguments = readonly PickleValue[];

/** What REDUCE may call. */
const CALLS: ReadonlyMap<string, (args: Arguments) => PickleValue> = new Map<string, (args: Arguments) => PickleValue>([
  ['collections.OrderedDict', orderedDict],
  ['torch._utils._rebuild_tensor', ([storage, offset, size, stride]) => tensor(storage, offset, size, stride)],
  ['torch._utils._rebuild_tensor_v2', rebuildTensorV2],
  ['torch._utils._rebuild_tensor_v3', rebuildTensorV3],
  ['torch._utils._rebuild_parameter', ([data]) => requireTensor(data)],
  ['torch._utils._rebuild_parameter_with_state', ([data]) => requireTensor(data)],
  ['torch.Size', ([size]) => new PickleTuple(naturals(size, 'a torch.Size'))],
  ['torch._tensor._rebuild_from_type_v2', rebuildFromType],
  // Where a tensor once lived means nothing here, and every layout that is read is strided.
  ['torch.device', () => null],
  ['torch.serialization._get_layout', () => null],
]);

/** Names that stand for themselves, as types or as what was to be called with them. */
const NAMES: ReadonlySet<string> = new Set([UNTYPED, DTENSOR, WRAPPER, 'torch.Tensor', 'torch.nn.parameter.Parameter']);

export function isKnownGlobal(name: string): boolean {
  return CALLS.has(name) || STORAGE_TYPES.has(name) || DTYPES.has(name) || NAMES.has(name) || RECORDS.has(name);
}

/** NEWOBJ. RebuildFault unless it is a class that only describes. */
export function newRecord(type: PickleValue): PickleRecord {
  if (type instanceof PickleGlobal && RECORDS.has(type.name)) return new PickleRecord(type.name);
  throw new RebuildFault(
    `it makes an object of ${type instanceof PickleGlobal ? type.name : 'something that is no class'}`,
  );
}

/** RebuildFault when `callee` is not to be called or its arguments make no sense. */
export function callGlobal(callee: PickleValue, args: PickleValue): PickleValue {
  const call = callee instanceof PickleGlobal ? CALLS.get(callee.name) : undefined;
  if (!call || !(args instanceof PickleTuple)) {
    throw new RebuildFault(
      `it calls ${callee instanceof PickleGlobal ? callee.name : 'something that is no function'}`,
    );
  }
  return call(args.items);
}

/** A persistent id: ('storage', type, key, location, count), in old files with (view key, offset, count) behind it. */
export function storageOf(id: PickleValue): TorchStorage {
  if (!(id instanceof PickleTuple)) throw new RebuildFault('a persistent id is no tuple');
  const [kind, type, key, , count, view] = id.items;
  if (kind !== 'storage') throw new RebuildFault('a persistent id is not that of a storage');
  const element = type instanceof PickleGlobal ? STORAGE_TYPES.get(type.name) : undefined;
  if (!element && !(type instanceof PickleGlobal && type.name === UNTYPED)) {
    throw new RebuildFault('a storage has no type that is known');
  }
  if (typeof key !== 'string') throw new RebuildFault('a storage has no key');
  const elements = natural(count, `the size of storage ${key}`);
  const whole: StorageSpec = { key, type: element, count: elements, viewOffset: 0, viewCount: elements };
  if (view === undefined || view === null) return new TorchStorage(whole);
  if (!(view instanceof PickleTuple)) throw new RebuildFault(`the view on storage ${key} is no tuple`);
  const viewOffset = natural(view.items[1], `the offset of a view on storage ${key}`);
  const viewCount = natural(view.items[2], `the size of a view on storage ${key}`);
  if (viewOffset + viewCount > elements) throw new RebuildFault(`a view reaches beyond storage ${key}`);
  return new TorchStorage({ ...whole, viewOffset, viewCount });
}

function orderedDict(args: Arguments): PickleDict {
  const dict = new PickleDict();
  const [pairs] = args;
  if (pairs === undefined) return dict;
  if (!(pairs instanceof PickleList)) throw new RebuildFault('an OrderedDict is not made of a list');
  for (const pair of pairs.items) {
    if (!(pair instanceof PickleList || pair instanceof PickleTuple) || pair.items.length !== 2) {
      throw new RebuildFault('an OrderedDict is not made of pairs');
    }
    dict.entries.push([pair.items[0] ?? null, pair.items[1] ?? null]);
  }
  return dict;
}

function rebuildTensorV2(args: Arguments): TorchTensor {
  const [storage, offset, size, stride, , , metadata] = args;
  // A lazy conjugate or negative would have to be applied to the values; no weight is saved with one.
  if (metadata instanceof PickleDict && metadata.entries.some(([, value]) => value === true)) {
    throw new RebuildFault('a tensor is saved as a lazy conjugate or negative');
  }
  return tensor(storage, offset, size, stride);
}

function rebuildTensorV3([storage, offset, size, stride, , , dtype]: Arguments): TorchTensor {
  const type = dtype instanceof PickleGlobal ? DTYPES.get(dtype.name) : undefined;
  if (!type) throw new RebuildFault('a tensor has no type that is known');
  return tensor(storage, offset, size, stride, type);
}

/** A tensor with attributes, which are left out, or a distributed one. */
function rebuildFromType([func, , args, state]: Arguments): TorchTensor {
  if (!(func instanceof PickleGlobal && args instanceof PickleTuple))
    throw new RebuildFault('a tensor has no rebuilding');
  if (func.name === WRAPPER) {
    const [type, , size] = args.items;
    if (!(type instanceof PickleGlobal && type.name === DTENSOR))
      throw new RebuildFault('a tensor of an unknown class');
    const made = distributedTensor(state, naturals(size, 'the shape of a distributed tensor'));
    if (typeof made === 'string') throw new RebuildFault(made);
    return made;
  }
  // Not just any call: a pickle can nest this one in itself.
  if (!func.name.startsWith('torch._utils._rebuild_')) throw new RebuildFault(`a tensor is rebuilt by ${func.name}`);
  return requireTensor(callGlobal(func, args));
}

function tensor(
  storage: PickleValue | undefined,
  offset: PickleValue | undefined,
  size: PickleValue | undefined,
  stride: PickleValue | undefined,
  as?: ElementType,
): TorchTensor {
  if (!(storage instanceof TorchStorage)) throw new RebuildFault('a tensor has no storage');
  const { spec } = storage;
  const type = as ?? spec.type;
  if (!type) throw new RebuildFault(`storage ${spec.key} has no element type`);
  const stored = spec.type?.bytes ?? 1;
  const shape = naturals(size, 'the shape of a tensor');
  const strides = naturals(stride, 'the strides of a tensor');
  if (shape.length !== strides.length || shape.length > MAX_DIMENSIONS) {
    throw new RebuildFault(`a tensor has ${shape.length} dimensions and ${strides.length} strides`);
  }
  const from = natural(offset, 'the offset of a tensor');
  const count = shape.reduce((product, length) => product * length, 1);
  const last = shape.reduce((sum, length, i) => sum + (length - 1) * (strides[i] ?? 0), from);
  // In bytes, since an untyped storage is counted so.
  const bytes = spec.viewCount * stored;
  if (!Number.isSafeInteger(count) || (count > 0 && (last + 1) * type.bytes > bytes)) {
    throw new RebuildFault(
      `a tensor of shape [${shape}] and strides [${strides}] from ${from} reaches beyond the ${bytes} bytes of storage ${spec.key}`,
    );
  }
  const start = from + (spec.viewOffset * stored) / type.bytes;
  if (!Number.isInteger(start)) throw new RebuildFault(`a tensor begins inside an element of storage ${spec.key}`);
  return new TorchTensor({
    storageKey: spec.key,
    storageBytes: spec.count * stored,
    type,
    offset: start,
    shape,
    strides,
  });
}

function requireTensor(value: PickleValue | undefined): TorchTensor {
  if (value instanceof TorchTensor) return value;
  throw new RebuildFault('a parameter is made of something other than a tensor');
}

function naturals(value: PickleValue | undefined, what: string): number[] {
  if (!(value instanceof PickleTuple || value instanceof PickleList)) throw new RebuildFault(`${what} is no tuple`);
  return value.items.map((item) => natural(item, what));
}

function natural(value: PickleValue | undefined, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new RebuildFault(`${what} is ${typeof value === 'number' || typeof value === 'bigint' ? value : 'no number'}`);
}
