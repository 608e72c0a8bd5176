/**
 * Whether two checkpoints describe the same model and the same text: what a format could not say shows here. Knows no format; the
 * weights themselves are not compared.
 */
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import type { DecoderSpec } from '../architectures/decoder-spec.ts';
import type { TextFiles } from '../checkpoint.ts';

/** Positions whose rotary angles are compared, and how far they may differ: formats keep bases and divisors as float32. */
const POSITIONS = 512;
const ANGLE_ERROR = 1e-3;

/** For people: where the two differ; undefined when they do not. */
export async function differenceInSpec(source: DecoderSpec, copy: DecoderSpec): Promise<string | undefined> {
  for (const [field, value] of Object.entries(plain(source))) {
    const other = plain(copy)[field];
    if (JSON.stringify(value) !== JSON.stringify(other)) {
      return `${field} is ${brief(value)} in the source and ${brief(other)} in the result`;
    }
  }
  const positions = Math.min(POSITIONS, source.contextLength);
  for (const [index, rope] of source.ropes.entries()) {
    const [a, b] = await Promise.all([rope.tables(positions), copy.ropes[index]?.tables(positions)]);
    const same = (x: Float32Array, y: Float32Array | undefined) =>
      x.length === y?.length && x.every((value, i) => Math.abs(value - (y[i] as number)) <= ANGLE_ERROR);
    if (!same(a.cos, b?.cos) || !same(a.sin, b?.sin)) return 'its positions turn by other angles';
  }
  return undefined;
}

/** What is data in a description: sizes, kinds, which biases are there. The family's name is a matter of the format. */
function plain({ family: _, ...spec }: DecoderSpec): Record<string, unknown> {
  return JSON.parse(JSON.stringify(spec));
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** `passages`: text that both must cut into the same ids. */
export function differenceInText(source: TextFiles, copy: TextFiles, passages: readonly string[]): string | undefined {
  const [a, b] = [source, copy].map((text) => loadTokenizer(text.tokenizerJson, text.tokenizerConfig));
  if (!a || !b) return undefined;
  for (let id = 0; id < a.vocabularySize; id++) {
    const piece = a.pieceOf(id);
    if (piece !== '' && (piece !== b.pieceOf(id) || Buffer.compare(a.bytesOf(id), b.bytesOf(id)) !== 0)) {
      return `token ${id} is ${JSON.stringify(piece)} in the source and ${JSON.stringify(b.pieceOf(id))} in the result`;
    }
  }
  const options = { addBos: true, parseSpecial: false };
  const other = passages.find((text) => a.encode(text, options).join() !== b.encode(text, options).join());
  if (other !== undefined) return `it cuts ${JSON.stringify(other.slice(0, 40))}... into other tokens`;
  if (source.chatTemplate !== copy.chatTemplate) return 'the chat template is another one';
  if (source.addBos && source.bosTokenId !== copy.bosTokenId) return 'it begins a text with another token';
  const lost = source.eosTokenIds.find((id) => !copy.eosTokenIds.includes(id));
  return lost === undefined ? undefined : `token ${lost} no longer ends a text`;
}
