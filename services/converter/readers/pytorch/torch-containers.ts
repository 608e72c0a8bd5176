/**
 * The two files torch.save writes (torch/serialization.py): the zip archive since 1.6 and the row of pickles before it. Finds the
 * object's pickle and where each storage lies, refuses unknown globals before anything is made. Knows nothing of state dicts.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { SourceFile } from '../source-file.ts';
import { unpickle } from './pickle-machine.ts';
import { PickleEnds } from './pickle-opcodes.ts';
import { PickleDict, PickleList, type PickleValue, type StorageSpec, type TensorSpec } from './pickle-values.ts';
import { type Scan, scanGlobals } from './scan-globals.ts';
import { isKnownGlobal } from './torch-globals.ts';
import { entryPosition, readZipDirectory } from './zip-directory.ts';

export interface TorchContainer {
  readonly value: PickleValue;
  /** Where the storage of a tensor begins in the file. AppError invalid_source when it is missing or has another size. */
  readonly locate: (spec: TensorSpec) => Promise<number>;
}

const MAX_PICKLE_BYTES = 64 << 20;
const FIRST_READ = 1 << 20;
/** What a legacy file begins with, and the version behind it. */
const MAGIC = Buffer.from('6cfc9c46f9206aa85019', 'hex');
const PROTOCOL = 1001;
const LEGACY_PARTS = ['the magic number', 'the protocol', 'the system', 'the object', 'the storage keys'];

/** AppError invalid_source (broken), unsupported_source (something else, or it names what is not known: says what). */
export async function openContainer(file: SourceFile): Promise<TorchContainer> {
  const head = await file.read(0, Math.min(file.size, 4));
  return head.toString('latin1') === 'PK\x03\x04' ? openZip(file) : openLegacy(file);
}

async function openZip(file: SourceFile): Promise<TorchContainer> {
  const entries = await readZipDirectory(file);
  const objects = [...entries.values()].filter(({ name }) => /^([^/]+\/)?data\.pkl$/.test(name));
  const [object] = objects;
  if (!object || objects.length > 1) {
    throw new AppError(
      'invalid_source',
      `${file.name}: a zip file with ${objects.length} data.pkl is no PyTorch checkpoint`,
    );
  }
  const prefix = object.name.slice(0, -'data.pkl'.length);
  if (object.size > MAX_PICKLE_BYTES) {
    throw new AppError(
      'invalid_source',
      `${file.name}: a pickle of ${object.size} bytes; the limit is ${MAX_PICKLE_BYTES}`,
    );
  }
  const bytes = await file.read(await entryPosition(file, object), object.size);
  const where = `${file.name}: ${object.name}`;
  const scan = scanGlobals(bytes, 0, where);
  requireKnown(file, [scan]);
  if (scan.fault) throw scan.fault;
  const order = entries.get(`${prefix}byteorder`);
  if (order) {
    const value = await file.read(await entryPosition(file, order), Math.min(order.size, 16));
    if (value.toString('latin1') !== 'little') throw bigEndian(file);
  }
  const { value, end } = unpickle(bytes, 0, where);
  if (end !== bytes.length)
    throw new AppError('invalid_source', `${where}: something follows the pickle at byte ${end}`);
  return {
    value,
    locate: async ({ storageKey, storageBytes }) => {
      const name = `${prefix}data/${storageKey}`;
      const entry = entries.get(name);
      if (!entry) throw new AppError('invalid_source', `${file.name}: the storage ${name} is missing`);
      if (entry.size !== storageBytes) throw wrongSize(file, name, entry.size, storageBytes);
      return entryPosition(file, entry);
    },
  };
}

async function openLegacy(file: SourceFile): Promise<TorchContainer> {
  const { bytes, scans } = await scanLegacy(file);
  requireKnown(file, scans);
  if (!bytes.subarray(0, scans[0]?.end).includes(MAGIC)) {
    throw new AppError(
      'unsupported_source',
      `${file.name} is neither a zip file nor a row of pickles that torch.save wrote`,
    );
  }
  const fault = scans.at(-1)?.fault;
  if (fault) throw fault;
  const read = (index: number) => {
    return unpickle(bytes, scans[index - 1]?.end ?? 0, `${file.name}: the pickle of ${LEGACY_PARTS[index]}`);
  };
  const { value: protocol } = read(1);
  if (protocol !== PROTOCOL) {
    throw new AppError('unsupported_source', `${file.name}: its protocol is ${String(protocol)}; ${PROTOCOL} is read`);
  }
  const { value: system } = read(2);
  if (!(system instanceof PickleDict) || !system.entries.some(([key, is]) => key === 'little_endian' && is === true)) {
    throw bigEndian(file);
  }
  const { value, storages } = read(3);
  const { value: keys, end } = read(4);
  if (!(keys instanceof PickleList)) throw new AppError('invalid_source', `${file.name}: its storage keys are no list`);
  return { value, locate: await legacyStorages(file, keys.items, storages, end) };
}

/** As much of the beginning as the pickles take. */
async function scanLegacy(file: SourceFile): Promise<{ bytes: Buffer; scans: Scan[] }> {
  const most = Math.min(file.size, MAX_PICKLE_BYTES);
  for (let length = Math.min(FIRST_READ, most); ; length = Math.min(length * 8, most)) {
    const bytes = await file.read(0, length);
    const scans: Scan[] = [];
    for (const part of LEGACY_PARTS) {
      const scan = scanGlobals(bytes, scans.at(-1)?.end ?? 0, `${file.name}: the pickle of ${part}`);
      scans.push(scan);
      if (scan.fault) break;
    }
    if (length === most || !(scans.at(-1)?.fault instanceof PickleEnds)) return { bytes, scans };
  }
}

/** Behind the pickles, in the order of the keys: a count of elements, 8 bytes, and the elements. */
async function legacyStorages(
  file: SourceFile,
  keys: readonly PickleValue[],
  storages: ReadonlyMap<string, StorageSpec>,
  start: number,
): Promise<TorchContainer['locate']> {
  const places = new Map<string, { position: number; bytes: number }>();
  let position = start;
  for (const key of keys) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (!storage) throw new AppError('invalid_source', `${file.name}: no tensor has the storage ${String(key)}`);
    if (places.has(storage.key))
      throw new AppError('invalid_source', `${file.name}: storage ${storage.key} is there twice`);
    const count = (await file.read(position, 8)).readBigInt64LE();
    const bytes = storage.count * (storage.type?.bytes ?? 1);
    if (count !== BigInt(storage.count)) {
      throw new AppError(
        'invalid_source',
        `${file.name}: storage ${storage.key} has ${count} elements, not ${storage.count}`,
      );
    }
    places.set(storage.key, { position: position + 8, bytes });
    position += 8 + bytes;
  }
  if (position !== file.size) {
    throw new AppError(
      'invalid_source',
      `${file.name}: its storages end at byte ${position}, the file at ${file.size}: truncated?`,
    );
  }
  return async ({ storageKey, storageBytes }) => {
    const place = places.get(storageKey);
    if (!place) throw new AppError('invalid_source', `${file.name}: the storage ${storageKey} is missing`);
    if (place.bytes !== storageBytes) throw wrongSize(file, storageKey, place.bytes, storageBytes);
    return place.position;
  };
}

function requireKnown(file: SourceFile, scans: readonly Scan[]): void {
  const unknown = [...new Set(scans.flatMap(({ globals }) => [...globals]))].filter((name) => !isKnownGlobal(name));
  if (unknown.length === 0) return;
  const shown = unknown.slice(0, 8).map((name) => JSON.stringify(name.slice(0, 100)));
  const more = unknown.length > shown.length ? ` and ${unknown.length - shown.length} more` : '';
  throw new AppError(
    'unsupported_source',
    `${file.name} names Python code that tensors do not need: ${shown.join(', ')}${more}. Nothing of it was read. Save the tensors alone: torch.save(model.state_dict(), ...)`,
  );
}

function bigEndian(file: SourceFile): AppError {
  return new AppError('unsupported_source', `${file.name} was saved on a big-endian machine; save it again on another`);
}

function wrongSize(file: SourceFile, storage: string, has: number, needs: number): AppError {
  return new AppError(
    'invalid_source',
    `${file.name}: the storage ${storage} has ${has} bytes, its tensors say ${needs}`,
  );
}
