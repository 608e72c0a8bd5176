/**
 * ONNX Runtime's C API over the library that onnxruntime-node ships: sessions, bindings, runs. The one file with native pointers.
 * A wrong pointer here kills the process, so nothing untyped leaves it. Knows nothing of models, slots or tokens.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import koffi from 'koffi';
import { TerminatedError } from './layout.ts';

type Pointer = bigint;
type Status = Pointer | null;
type Out = [Pointer | null];
/** Everything ONNX Runtime may read or write in place. Must be carved from an ArrayBuffer of more than 64 bytes: V8 moves smaller ones. */
export type TensorData = Float32Array | Int32Array | BigInt64Array | Int8Array | Uint8Array;

/** The C library answered with an error status. */
class OrtError extends Error {
  override readonly name = 'OrtError';
}

/** Positions in `struct OrtApi` (append-only, so they hold for every later release), with the C signature of each (`f` stands for its name). */
const FUNCTIONS = {
  GetErrorMessage: [2, 'const char *f(void *status)'],
  CreateEnv: [3, 'void *f(int level, const char *id, _Out_ void **env)'],
  CreateSession: [
    7,
    `void *f(void *env, ${process.platform === 'win32' ? 'const char16_t' : 'const char'} *path, void *options, _Out_ void **session)`,
  ],
  CreateSessionOptions: [10, 'void *f(_Out_ void **options)'],
  DisableMemPattern: [17, 'void *f(void *options)'],
  SetSessionGraphOptimizationLevel: [23, 'void *f(void *options, int level)'],
  SetIntraOpNumThreads: [24, 'void *f(void *options, int threads)'],
  SessionGetInputCount: [30, 'void *f(void *session, _Out_ size_t *count)'],
  SessionGetInputName: [36, 'void *f(void *session, size_t index, void *allocator, _Out_ void **name)'],
  CreateRunOptions: [39, 'void *f(_Out_ void **options)'],
  RunOptionsSetTerminate: [46, 'void *f(void *options)'],
  RunOptionsUnsetTerminate: [47, 'void *f(void *options)'],
  CreateTensorWithDataAsOrtValue: [
    49,
    'void *f(void *info, void *data, size_t bytes, int64_t *shape, size_t rank, int type, _Out_ void **value)',
  ],
  CreateCpuMemoryInfo: [69, 'void *f(int allocator, int memory, _Out_ void **info)'],
  AllocatorFree: [76, 'void *f(void *allocator, void *memory)'],
  GetAllocatorWithDefaultOptions: [78, 'void *f(_Out_ void **allocator)'],
  ReleaseStatus: [93, 'void f(void *status)'],
  ReleaseSession: [95, 'void f(void *session)'],
  ReleaseValue: [96, 'void f(void *value)'],
  ReleaseRunOptions: [97, 'void f(void *options)'],
  ReleaseSessionOptions: [100, 'void f(void *options)'],
  AddSessionConfigEntry: [130, 'void *f(void *options, const char *key, const char *value)'],
  RunWithBinding: [133, 'void *f(void *session, void *options, void *binding)'],
  CreateIoBinding: [134, 'void *f(void *session, _Out_ void **binding)'],
  ReleaseIoBinding: [135, 'void f(void *binding)'],
  BindInput: [136, 'void *f(void *binding, const char *name, void *value)'],
  BindOutput: [137, 'void *f(void *binding, const char *name, void *value)'],
} as const;

type Native = ((...args: unknown[]) => Pointer | null) & {
  async(...args: [...unknown[], (error: Error | null, status: Status) => void]): void;
};
type Api = Record<Exclude<keyof typeof FUNCTIONS, 'GetErrorMessage'>, Native> & {
  GetErrorMessage(status: Pointer): string;
};

const API_VERSION = 22;
const LOG_ERRORS_ONLY = 3;
const OPTIMIZE_ALL = 99;
const ARENA_ALLOCATOR = 1;
const BOOL = 9;

interface Runtime {
  /** Held on to: koffi unloads a library whose handle is collected. */
  readonly library: ReturnType<typeof koffi.load>;
  readonly version: string;
  readonly api: Api;
  readonly env: Pointer;
  readonly memory: Pointer;
}

let runtime: Runtime | undefined;

/** Loads the library once per process. Throws when the platform has none. */
function load(): Runtime {
  if (runtime) return runtime;
  const { library, version } = locateLibrary();
  // The runtime works on the caller's stack; koffi's own defaults are too small for graph optimization.
  koffi.config({ sync_stack_size: 8 << 20, async_stack_size: 4 << 20, resident_async_pools: 2 });
  const handle = koffi.load(library);
  const base = koffi.decode(
    handle.func('void *OrtGetApiBase()')(),
    koffi.struct({ GetApi: 'void *', GetVersionString: 'void *' }),
  );
  const table: unknown = koffi.decode(base.GetApi, koffi.proto('void *GetApi(uint32_t version)'))(API_VERSION);
  if (!table) throw new OrtError(`ONNX Runtime at ${library} does not offer version ${API_VERSION} of its C API`);
  const last = Math.max(...Object.values(FUNCTIONS).map(([index]) => index));
  const pointers: unknown[] = koffi.decode(table, koffi.array('void *', last + 1));
  // The table is typed by FUNCTIONS above; koffi can only hand out untyped functions.
  const api = Object.fromEntries(
    Object.entries(FUNCTIONS).map(([name, [index, signature]]) => [
      name,
      koffi.decode(pointers[index], koffi.proto(signature.replace('f(', `${name}(`))),
    ]),
  ) as Api;
  const env = created(api, (out) => api.CreateEnv(LOG_ERRORS_ONLY, 'slipway', out));
  const memory = created(api, (out) => api.CreateCpuMemoryInfo(ARENA_ALLOCATOR, 0, out));
  runtime = { library: handle, version, api, env, memory };
  return runtime;
}

function locateLibrary(): { library: string; version: string } {
  const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  const folder = path.join(path.dirname(manifest), 'bin', 'napi-v6', process.platform, process.arch);
  let files: string[];
  try {
    files = readdirSync(folder);
  } catch (cause) {
    throw new Error(`onnxruntime-node has no library for ${process.platform}-${process.arch} (looked in ${folder})`, {
      cause,
    });
  }
  const name = files.find((file) => /^(libonnxruntime.*\.(so(\.[\d.]+)?|dylib)|onnxruntime\.dll)$/.test(file));
  if (!name) throw new Error(`no ONNX Runtime library in ${folder}`);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  return { library: path.join(folder, name), version };
}

function check(api: Api, status: Status): void {
  if (!status) return;
  const message = api.GetErrorMessage(status);
  api.ReleaseStatus(status);
  throw new OrtError(message);
}

function created(api: Api, make: (out: Out) => Status): Pointer {
  const out: Out = [null];
  check(api, make(out));
  if (out[0] === null) throw new OrtError('ONNX Runtime gave no handle');
  return out[0];
}

/** For example `1.30.0`. */
export function runtimeVersion(): string {
  return load().version;
}

function elementType(data: TensorData): number {
  if (data instanceof Float32Array) return 1;
  if (data instanceof Uint8Array) return 2;
  if (data instanceof Int8Array) return 3;
  if (data instanceof Int32Array) return 6;
  return 7;
}

/** A caller's array seen by the runtime as a tensor, without a copy. Keeps the array alive. */
export class OrtTensor {
  readonly handle: Pointer;
  readonly #data: TensorData;

  /** `bool` for a Uint8Array of zeros and ones. */
  constructor(data: TensorData, shape: readonly number[], as?: 'bool') {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (elements > data.length)
      throw new RangeError(`shape [${shape}] needs ${elements} elements, the array has ${data.length}`);
    if (data.buffer.byteLength <= 64)
      throw new RangeError('tensor data must lie in an ArrayBuffer of more than 64 bytes');
    const { api, memory } = load();
    const bytes = elements * data.BYTES_PER_ELEMENT;
    this.#data = data;
    this.handle = created(api, (out) =>
      api.CreateTensorWithDataAsOrtValue(
        memory,
        this.#data,
        bytes,
        BigInt64Array.from(shape, BigInt),
        shape.length,
        as === 'bool' ? BOOL : elementType(data),
        out,
      ),
    );
  }

  release(): void {
    load().api.ReleaseValue(this.handle);
  }
}

/** Which tensors a run reads and writes. Owns what is bound to it: a tensor lives until its name is bound anew or the binding goes. */
export class OrtBinding {
  readonly handle: Pointer;
  readonly #bound = new Map<string, OrtTensor>();

  constructor(session: Pointer) {
    const { api } = load();
    this.handle = created(api, (out) => api.CreateIoBinding(session, out));
  }

  input(name: string, tensor: OrtTensor): void {
    const { api } = load();
    check(api, api.BindInput(this.handle, name, tensor.handle));
    this.#keep(name, tensor);
  }

  output(name: string, tensor: OrtTensor): void {
    const { api } = load();
    check(api, api.BindOutput(this.handle, name, tensor.handle));
    this.#keep(name, tensor);
  }

  release(): void {
    load().api.ReleaseIoBinding(this.handle);
    for (const tensor of new Set(this.#bound.values())) tensor.release();
    this.#bound.clear();
  }

  #keep(name: string, tensor: OrtTensor): void {
    this.#bound.get(name)?.release();
    this.#bound.set(name, tensor);
  }
}

/** One loaded graph. Not re-entrant: one run at a time. */
export class OrtSession {
  readonly #session: Pointer;
  readonly #runOptions: Pointer;
  #terminated = false;

  /** Loads the graph at `file` (and its external data beside it). Blocks the thread. Throws OrtError. */
  constructor(file: string, threads: number) {
    const { api, env } = load();
    const settings = created(api, (out) => api.CreateSessionOptions(out));
    try {
      check(api, api.SetIntraOpNumThreads(settings, threads));
      check(api, api.SetSessionGraphOptimizationLevel(settings, OPTIMIZE_ALL));
      // Shapes change at every prefill: planned memory would only be thrown away.
      check(api, api.DisableMemPattern(settings));
      // Without VNNI the 8-bit products would saturate in 16 bits: the same answers on every processor come before speed on old ones.
      check(api, api.AddSessionConfigEntry(settings, 'session.x64quantprecision', '1'));
      this.#session = created(api, (out) => api.CreateSession(env, file, settings, out));
    } finally {
      api.ReleaseSessionOptions(settings);
    }
    this.#runOptions = created(api, (out) => api.CreateRunOptions(out));
  }

  /** The graph's inputs, in its order. */
  inputNames(): string[] {
    const { api } = load();
    const count: [number] = [0];
    check(api, api.SessionGetInputCount(this.#session, count));
    const allocator = created(api, (out) => api.GetAllocatorWithDefaultOptions(out));
    return Array.from({ length: count[0] }, (_, index) => {
      const name = created(api, (out) => api.SessionGetInputName(this.#session, index, allocator, out));
      const text: string = koffi.decode(name, 'char', -1);
      check(api, api.AllocatorFree(allocator, name));
      return text;
    });
  }

  binding(): OrtBinding {
    return new OrtBinding(this.#session);
  }

  /** Runs on this thread until it is done: for steps of a few milliseconds. */
  run(binding: OrtBinding): void {
    const { api } = load();
    this.#forgetTermination();
    check(api, api.RunWithBinding(this.#session, this.#runOptions, binding.handle));
  }

  /** Runs on another thread; rejects with TerminatedError when `terminate` ended it early. */
  async runAsync(binding: OrtBinding): Promise<void> {
    const { api } = load();
    this.#forgetTermination();
    const status = await new Promise<Status>((resolve, reject) => {
      api.RunWithBinding.async(this.#session, this.#runOptions, binding.handle, (error, result) =>
        error ? reject(error) : resolve(result),
      );
    });
    try {
      check(api, status);
    } catch (cause) {
      throw this.#terminated ? new TerminatedError('the run was ended', { cause }) : cause;
    }
  }

  /** Whoever asked for an end meant the run before. */
  #forgetTermination(): void {
    if (!this.#terminated) return;
    const { api } = load();
    check(api, api.RunOptionsUnsetTerminate(this.#runOptions));
    this.#terminated = false;
  }

  get terminated(): boolean {
    return this.#terminated;
  }

  terminate(): void {
    const { api } = load();
    this.#terminated = true;
    check(api, api.RunOptionsSetTerminate(this.#runOptions));
  }

  close(): void {
    const { api } = load();
    api.ReleaseRunOptions(this.#runOptions);
    api.ReleaseSession(this.#session);
  }
}
