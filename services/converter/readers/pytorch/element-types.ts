/**
 * The types torch stores numbers in: their names, sizes, and how stored bytes (little-endian) become float32.
 */
import { GGML_TYPES } from '../gguf-dequantize.ts';

export interface ElementType {
  /** In safetensors' words, as everywhere in the readers. */
  readonly name: string;
  readonly bytes: number;
  /** Elements from `raw` to `out` at `at`; undefined where no weight comes in this type. */
  readonly toFloat32: ((raw: Buffer, count: number, out: Float32Array, at: number) => void) | undefined;
}

type Read = (raw: Buffer, position: number) => number;

function each(name: string, bytes: number, read: Read): ElementType {
  return {
    name,
    bytes,
    toFloat32: (raw, count, out, at) => {
      for (let i = 0; i < count; i++) out[at + i] = read(raw, i * bytes);
    },
  };
}

const F32: ElementType = { name: 'F32', bytes: 4, toFloat32: GGML_TYPES.get(0)?.dequantize };
const F16: ElementType = { name: 'F16', bytes: 2, toFloat32: GGML_TYPES.get(1)?.dequantize };
const BF16: ElementType = { name: 'BF16', bytes: 2, toFloat32: GGML_TYPES.get(30)?.dequantize };
const F64 = each('F64', 8, (raw, at) => raw.readDoubleLE(at));
const I8 = each('I8', 1, (raw, at) => raw.readInt8(at));
const I16 = each('I16', 2, (raw, at) => raw.readInt16LE(at));
const I32 = each('I32', 4, (raw, at) => raw.readInt32LE(at));
const I64 = each('I64', 8, (raw, at) => Number(raw.readBigInt64LE(at)));
const U8 = each('U8', 1, (raw, at) => raw.readUInt8(at));
const U16 = each('U16', 2, (raw, at) => raw.readUInt16LE(at));
const U32 = each('U32', 4, (raw, at) => raw.readUInt32LE(at));
const U64 = each('U64', 8, (raw, at) => Number(raw.readBigUInt64LE(at)));
const BOOL = each('BOOL', 1, (raw, at) => (raw.readUInt8(at) === 0 ? 0 : 1));
const F8_E4M3: ElementType = { name: 'F8_E4M3', bytes: 1, toFloat32: undefined };
const F8_E5M2: ElementType = { name: 'F8_E5M2', bytes: 1, toFloat32: undefined };

/** `torch.FloatStorage` and the like. */
export const STORAGE_TYPES: ReadonlyMap<string, ElementType> = new Map([
  ['torch.DoubleStorage', F64],
  ['torch.FloatStorage', F32],
  ['torch.HalfStorage', F16],
  ['torch.BFloat16Storage', BF16],
  ['torch.LongStorage', I64],
  ['torch.IntStorage', I32],
  ['torch.ShortStorage', I16],
  ['torch.CharStorage', I8],
  ['torch.ByteStorage', U8],
  ['torch.BoolStorage', BOOL],
]);

/** `torch.float32` and the like. */
export const DTYPES: ReadonlyMap<string, ElementType> = new Map([
  ['torch.float64', F64],
  ['torch.float32', F32],
  ['torch.float16', F16],
  ['torch.bfloat16', BF16],
  ['torch.int64', I64],
  ['torch.int32', I32],
  ['torch.int16', I16],
  ['torch.int8', I8],
  ['torch.uint64', U64],
  ['torch.uint32', U32],
  ['torch.uint16', U16],
  ['torch.uint8', U8],
  ['torch.bool', BOOL],
  ['torch.float8_e4m3fn', F8_E4M3],
  ['torch.float8_e5m2', F8_E5M2],
]);
