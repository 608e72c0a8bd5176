/**
 * Which dict of a checkpoint holds the weights: training code wraps them ({"model": ...}, {"actor": ..., "optimizer": ...}). Names in,
 * names out; reads no tensor.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { PickleDict, type PickleValue, TorchTensor } from './pickle-values.ts';

export interface StateDict {
  /** Keys down to the chosen dict, joined by dots; empty for the top. */
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  /** What lies beside the chosen dict, as paths, sorted: other entries that hold tensors, and optimizer state. */
  readonly beside: readonly string[];
}

/** Of training, not of the model: skipped wherever a dict is looked for. */
const TRAINING = /optim|scheduler|^opt(_|$)/i;
/** Pickles can share and nest dicts without end; no checkpoint comes near. */
const MAX_DEPTH = 32;
const MAX_ENTRIES = 2_000_000;

/**
 * Without `choose`: goes down while exactly one entry that is a dict holds tensors. A dict whose own tensors have dotted names
 * (`layers.0.weight`) is a state dict whatever lies beside them. With `choose` (a path of keys joined by dots, '' for the top): from
 * there, and where several entries hold tensors all of them belong to it.
 * AppError invalid_source: no tensors, several candidates (named), or nothing at `choose`. `label` for messages.
 */
export function findStateDict(value: PickleValue, label: string, choose?: string): StateDict {
  const fail = (fault: string) => new AppError('invalid_source', `${label}: ${fault}`);
  if (value instanceof TorchTensor) throw fail('it holds a single tensor without a name; a state dict is needed');
  if (!(value instanceof PickleDict)) throw fail('it holds no dict at its top; a state dict is needed');
  const withTensors = dictsWithTensors(value);
  const beside: string[] = [];
  let path = choose ?? '';
  let dict: PickleDict | undefined = choose ? descend(value, choose) : value;
  if (!dict) throw fail(`there is no dict at ${JSON.stringify(choose)}; its top has ${keysOf(value)}`);
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const entries = lastEntries(dict);
    const own = [...entries].filter(([, entry]) => entry instanceof TorchTensor).map(([key]) => key);
    if (own.some((key) => key.includes('.'))) break;
    const inside: string[] = [];
    for (const [key, entry] of entries) {
      if (!(entry instanceof PickleDict)) continue;
      if (TRAINING.test(key)) beside.push(join(path, key));
      else if (withTensors.has(entry)) inside.push(key);
    }
    const [only] = inside;
    if (only === undefined) break;
    if (inside.length > 1) {
      if (choose !== undefined) break;
      const names = inside.map((key) => JSON.stringify(join(path, key))).join(', ');
      throw fail(`several of its entries hold tensors: ${names}; say which one is meant`);
    }
    beside.push(...own.map((key) => join(path, key)));
    const next: PickleValue | undefined = entries.get(only);
    if (!(next instanceof PickleDict)) break;
    dict = next;
    path = join(path, only);
  }
  const tensors = collect(dict, fail);
  if (tensors.size === 0) throw fail(`no tensors are in it; its top has ${keysOf(value)}`);
  return { path, tensors, beside: beside.toSorted() };
}

/** By keys that are texts; of two entries with one key the later. */
function lastEntries(dict: PickleDict): Map<string, PickleValue> {
  const entries = new Map<string, PickleValue>();
  for (const [key, value] of dict.entries) if (typeof key === 'string') entries.set(key, value);
  return entries;
}

/** The dicts with a tensor anywhere below. Without recursion and each once: a pickle can nest a million, and in circles. */
function dictsWithTensors(top: PickleDict): Set<PickleDict> {
  const holders = new Map<PickleDict, PickleDict[]>([[top, []]]);
  const found = new Set<PickleDict>();
  for (const [dict] of holders) {
    for (const [key, value] of dict.entries) {
      if (typeof key !== 'string') continue;
      if (value instanceof TorchTensor) found.add(dict);
      if (!(value instanceof PickleDict) || TRAINING.test(key)) continue;
      const known = holders.get(value);
      if (known) known.push(dict);
      else holders.set(value, [dict]);
    }
  }
  // What is added while a set is gone through is gone through too.
  for (const dict of found) for (const holder of holders.get(dict) ?? []) found.add(holder);
  return found;
}

function descend(dict: PickleDict, path: string): PickleDict | undefined {
  for (const [key, value] of lastEntries(dict)) {
    if (!(value instanceof PickleDict)) continue;
    if (key === path) return value;
    const found = path.startsWith(`${key}.`) ? descend(value, path.slice(key.length + 1)) : undefined;
    if (found) return found;
  }
  return undefined;
}

function collect(top: PickleDict, fail: (fault: string) => AppError): Map<string, TorchTensor> {
  const tensors = new Map<string, TorchTensor>();
  let left = MAX_ENTRIES;
  const walk = (dict: PickleDict, prefix: string, depth: number) => {
    if (depth > MAX_DEPTH) throw fail(`its dicts are nested deeper than ${MAX_DEPTH}`);
    left -= dict.entries.length;
    if (left < 0) throw fail(`it has more than ${MAX_ENTRIES} entries`);
    for (const [key, value] of lastEntries(dict)) {
      const name = join(prefix, key);
      if (value instanceof PickleDict && !TRAINING.test(key)) walk(value, name, depth + 1);
      if (!(value instanceof TorchTensor)) continue;
      if (tensors.has(name)) throw fail(`the tensor ${JSON.stringify(name)} is there twice`);
      tensors.set(name, value);
    }
  };
  walk(top, '', 0);
  return tensors;
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function keysOf(dict: PickleDict): string {
  const keys = [...lastEntries(dict).keys()];
  if (keys.length === 0) return 'no entries';
  return `${keys
    .slice(0, 8)
    .map((key) => JSON.stringify(key.slice(0, 60)))
    .join(', ')}${keys.length > 8 ? ' ...' : ''}`;
}
