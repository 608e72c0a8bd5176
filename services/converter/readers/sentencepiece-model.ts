/**
 * A SentencePiece `tokenizer.model` of type BPE: its pieces and the ids it names. Reads only the protobuf fields it needs.
 * Field numbers: google/sentencepiece, src/sentencepiece_model.proto.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Piece, PieceKind } from './tokenizer-files.ts';

const MAX_PIECES = 4_000_000;
/** SentencePiece.Type. */
const KINDS: readonly PieceKind[] = ['normal', 'normal', 'unknown', 'control', 'user', 'unused', 'byte'];
const TYPE_BPE = 2;

export interface SentencePieceModel {
  readonly pieces: Piece[];
  readonly spacePrefix: boolean;
  readonly bos: number | null;
  readonly eos: number | null;
  readonly unknown: number | null;
}

type Value = number | Buffer;

/** AppError invalid_source when it is no such file, unsupported_source when it is a unigram model. */
export function readSentencePiece(bytes: Buffer, label: string): SentencePieceModel {
  const pieces: Piece[] = [];
  let trainer = new Map<number, Value>();
  let normalizer = new Map<number, Value>();
  for (const [field, value] of fields(bytes, label)) {
    if (!Buffer.isBuffer(value)) continue;
    if (field === 1) pieces.push(piece(new Map(fields(value, label)), label));
    if (field === 2) trainer = new Map(fields(value, label));
    if (field === 3) normalizer = new Map(fields(value, label));
    if (pieces.length > MAX_PIECES) throw new AppError('invalid_source', `${label}: more than ${MAX_PIECES} pieces`);
  }
  if (pieces.length === 0) throw new AppError('invalid_source', `${label}: no pieces: is it a SentencePiece model?`);
  if (trainer.get(3) !== TYPE_BPE) {
    throw new AppError(
      'unsupported_source',
      `${label}: a SentencePiece model that is not BPE; save a tokenizer.json with transformers`,
    );
  }
  // Absent means the default of the .proto; negative ids are ten-byte integers and mean "none".
  const id = (field: number, otherwise: number) => {
    const value = trainer.get(field) ?? otherwise;
    return typeof value === 'number' && value < pieces.length ? value : null;
  };
  return { pieces, spacePrefix: normalizer.get(3) !== 0, unknown: id(40, 0), bos: id(41, 1), eos: id(42, 2) };
}

function piece(message: ReadonlyMap<number, Value>, label: string): Piece {
  const text = message.get(1);
  const score = message.get(2);
  const kind = message.get(3);
  if (!Buffer.isBuffer(text)) throw new AppError('invalid_source', `${label}: a piece without text`);
  return {
    text: text.toString('utf8'),
    score: Buffer.isBuffer(score) && score.length === 4 ? score.readFloatLE(0) : 0,
    kind: KINDS[typeof kind === 'number' ? kind : 1] ?? 'normal',
  };
}

/** Number and value of each field: varints as numbers, everything else as its bytes. */
function* fields(bytes: Buffer, label: string): Generator<[number, Value]> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new AppError('invalid_source', `${label}: a broken number at byte ${at}`);
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    const field = Math.floor(tag / 8);
    if (wire === 0) {
      yield [field, varint()];
      continue;
    }
    const length = wire === 2 ? varint() : { 1: 8, 5: 4 }[wire];
    if (length === undefined || at + length > bytes.length) {
      throw new AppError('invalid_source', `${label}: a broken field at byte ${at}`);
    }
    yield [field, bytes.subarray(at, at + length)];
    at += length;
  }
}
