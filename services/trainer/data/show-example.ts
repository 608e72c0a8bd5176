/**
 * An example in parts for people: its text, and whether each part is trained. With a tokenizer exactly as the model sees it. Pure.
 */
import type { Example } from './canonical.ts';
import { encodeExample } from './encode/encode-example.ts';
import type { TextSide } from './text-side.ts';

export interface Part {
  readonly text: string;
  readonly isTrained: boolean;
}

/** As it is rendered and masked; undefined where the template refuses it. The last of its examples when its turns are several. */
export function showEncoded(example: Example, side: TextSide): Part[] | undefined {
  const encoded = encodeExample(example, side).encoded.at(-1);
  if (!encoded) return undefined;
  const { ids, mask } = encoded;
  const parts: { bytes: Uint8Array[]; isTrained: boolean }[] = [];
  for (const [at, id] of ids.entries()) {
    const isTrained = mask === null || mask[at] === 1;
    const bytes = side.tokenizer.bytesOf(id);
    // A special token has no bytes, but a name.
    const shown = bytes.length > 0 ? bytes : Buffer.from(side.tokenizer.pieceOf(id));
    const last = parts.at(-1);
    if (last?.isTrained === isTrained) last.bytes.push(shown);
    else parts.push({ bytes: [shown], isTrained });
  }
  return parts.map(({ bytes, isTrained }) => ({ text: Buffer.concat(bytes).toString('utf8'), isTrained }));
}

/** Without a model: who says what. */
export function showPlain(example: Example): Part[] {
  if ('text' in example) return [{ text: example.text, isTrained: true }];
  if ('prompt' in example) {
    return [
      { text: example.prompt, isTrained: false },
      { text: example.completion, isTrained: true },
    ];
  }
  const { messages, trained_turns: turns } = example;
  return messages.flatMap((message, index) => {
    const isTrained = message.role === 'assistant' && (turns?.includes(index) ?? true);
    const calls = message.role === 'assistant' && message.tool_calls?.length ? JSON.stringify(message.tool_calls) : '';
    const said = [message.reasoning_content ?? '', message.content ?? '', calls]
      .filter((text) => text !== '')
      .join('\n');
    return [
      { text: `${message.role}: `, isTrained: false },
      { text: said, isTrained },
      { text: '\n', isTrained: false },
    ];
  });
}
