/**
 * Forms as the engine's threads see them: whether a text fits one, and texts that fit, drawn byte by byte or word by word.
 */
import { loadXGrammar } from '../../../engine/constraint/load-xgrammar.ts';
import { TOKENS, VOCABULARY } from '../../../engine/constraint/testing/vocabulary.ts';
import { TextMatchers } from '../../../engine/constraint/text-matchers.ts';
import { tokenBytes } from '../../../engine/constraint/token-table.ts';
import { grammarOfFormat, type LimitedFormat } from '../grammar-of-format.ts';

const matchers = await TextMatchers.create(loadXGrammar(2 ** 30), TOKENS);

/** What ends texts sooner than chance would. */
const CLOSING = [0x22, 0x7d, 0x5d];

export async function fits(format: LimitedFormat, text: string | Uint8Array): Promise<boolean> {
  const matcher = await matchers.open(grammarOfFormat(format));
  const bytes = [...Buffer.from(text)];
  const masks = await matcher.look(bytes);
  matcher.close();
  return masks.length === bytes.length + 1 && masks.at(-1)?.mayEnd === true;
}

/** Undefined when it is not whole after so many tokens. Throws where nothing may come. */
export async function draw(format: LimitedFormat, random: () => number, most = 600): Promise<string | undefined> {
  const matcher = await matchers.open(grammarOfFormat(format));
  const drawn: Uint8Array[] = [];
  for (let step = 0; step < most; step++) {
    const { words, mayEnd, mayGoOn } = await matcher.mask();
    const text = () => new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(drawn));
    if (mayEnd && (!mayGoOn || random() < 0.3)) {
      matcher.close();
      return text();
    }
    const allowed = Array.from({ length: VOCABULARY }, (_, id) => id).filter(
      (id) => (((words[id >> 5] ?? 0) >>> (id & 31)) & 1) === 1,
    );
    if (allowed.length === 0) throw new Error(`nothing may come after ${text()}`);
    const [closing, letters] = [CLOSING.filter((id) => allowed.includes(id)), allowed.filter((id) => id < 0x80)];
    const among =
      random() < 0.25 && closing.length > 0 ? closing : random() < 0.6 && letters.length > 0 ? letters : allowed;
    const token = among[Math.floor(random() * among.length)] ?? 0;
    await matcher.accept(token);
    drawn.push(tokenBytes(TOKENS, token));
  }
  matcher.close();
  return undefined;
}
