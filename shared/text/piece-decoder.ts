/**
 * The `decoder` of a tokenizer.json: which bytes a piece of the vocabulary stands for, and whether decoded text loses the space
 * that encoding put in front. What is not here is refused by name.
 */
import { z } from 'zod';
import { AppError } from '../contracts/errors.ts';
import { describeIssues } from '../lib/describe-issues.ts';
import { bytesOfLetters } from './byte-letters.ts';

export interface PieceDecoder {
  readonly stripsLeadingSpace: boolean;
  bytesOf(piece: string): Uint8Array;
}

const Step = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ByteLevel') }),
  z.object({ type: z.literal('ByteFallback') }),
  z.object({ type: z.literal('Fuse') }),
  z.object({
    type: z.literal('Metaspace'),
    replacement: z.literal('▁').default('▁'),
    add_prefix_space: z.boolean().default(true),
    prepend_scheme: z.enum(['first', 'always', 'never']).optional(),
  }),
  z.object({ type: z.literal('Replace'), pattern: z.object({ String: z.literal('▁') }), content: z.literal(' ') }),
  z.object({ type: z.literal('Strip'), content: z.literal(' '), start: z.literal(1), stop: z.literal(0) }),
]);

const Decoder = z.union([
  z.object({ type: z.literal('Sequence'), decoders: z.array(Step) }).transform((sequence) => sequence.decoders),
  Step.transform((step) => [step]),
]);

/** AppError unsupported_source names what is not known. */
export function pieceDecoder(json: unknown): PieceDecoder {
  const parsed = Decoder.safeParse(json ?? { type: 'Fuse' });
  if (!parsed.success) {
    throw new AppError('unsupported_source', `tokenizer.json: decoder: ${describeIssues(parsed.error)}`);
  }
  const encoder = new TextEncoder();
  const has = (type: string) => parsed.data.some((step) => step.type === type);
  const metaspace = parsed.data.find((step) => step.type === 'Metaspace');
  const prefixed =
    metaspace && (metaspace.prepend_scheme ?? (metaspace.add_prefix_space ? 'always' : 'never')) !== 'never';
  const byteLevel = has('ByteLevel');
  const fallback = has('ByteFallback');
  const spaces = has('Replace') || has('Metaspace');
  return {
    stripsLeadingSpace: has('Strip') || prefixed === true,
    bytesOf(piece) {
      const [, hex] = (fallback && /^<0x([0-9A-Fa-f]{2})>$/.exec(piece)) || [];
      if (hex !== undefined) return Uint8Array.of(Number.parseInt(hex, 16));
      const bytes = byteLevel ? bytesOfLetters(piece) : undefined;
      return bytes ?? encoder.encode(spaces ? piece.replaceAll('▁', ' ') : piece);
    },
  };
}
