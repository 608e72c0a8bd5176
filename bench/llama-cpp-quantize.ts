/**
 * llama.cpp's own quantizer, called in the library that node-llama-cpp ships (which has no door to it). Runs on bench's own machine
 * only: a wrong size of its parameters would be seen at once.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import koffi from 'koffi';

/** `enum llama_ftype` of llama.h. */
const FILE_TYPES = { Q4_0: 2, Q8_0: 7, Q4_K_M: 15 } as const;
export type LlamaCppType = keyof typeof FILE_TYPES;

const HERE = import.meta.dirname;

/** Where the quantized file lies; made on first use and kept. The peers must be installed. Throws what the library says. */
export function quantizedByLlamaCpp(file: string, type: LlamaCppType, tell: (line: string) => void): string {
  const source = resolve(file);
  const { ino, size, mtimeMs } = statSync(source);
  const folder = join(HERE, '.cache', `${ino}-${size}-${Math.round(mtimeMs)}`);
  const target = join(folder, `${basename(file, '.gguf')}-${type}.gguf`);
  if (existsSync(target)) return target;
  tell(`llama.cpp quantizes ${source} to ${type}`);
  mkdirSync(folder, { recursive: true });
  const status = library().quantize(source, `${target}.part`, FILE_TYPES[type]);
  if (status !== 0) throw new Error(`llama.cpp could not quantize ${source} to ${type} (status ${status})`);
  renameSync(`${target}.part`, target);
  return target;
}

/** The first fields of `struct llama_model_quantize_params`; the rest stays as the library fills it. */
const PARAMETERS = {
  nthread: 'int32',
  ftype: 'int32',
  output_tensor_type: 'int32',
  token_embedding_type: 'int32',
  allow_requantize: 'bool',
  rest: koffi.array('uint8', 239),
};

let loaded: { quantize: (from: string, to: string, type: number) => number } | undefined;

function library() {
  loaded ??= load();
  return loaded;
}

function load(): NonNullable<typeof loaded> {
  const platform = `${process.platform === 'darwin' ? 'mac' : process.platform}-${process.arch}`;
  const folder = join(HERE, 'node_modules', '@node-llama-cpp', platform, 'bins', platform);
  const name = readdirSync(folder).find((entry) => /^libllama(\.[v\d.]+)?\.(so|dylib)/.test(entry));
  if (!name) throw new Error(`there is no libllama in ${folder}`);
  const native = koffi.load(join(folder, name));
  koffi.struct('llama_model_quantize_params', PARAMETERS);
  const defaults = native.func('llama_model_quantize_params llama_model_quantize_default_params()');
  const quantize = native.func(
    'uint32 llama_model_quantize(const char *from, const char *to, llama_model_quantize_params *parameters)',
  );
  return {
    // A checkpoint whose weights are quantized already is a source like any other here.
    quantize: (from, to, ftype) => quantize(from, to, { ...defaults(), ftype, allow_requantize: true }),
  };
}
