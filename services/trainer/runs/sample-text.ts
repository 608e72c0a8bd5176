/**
 * What a kernel's samples say, which speaks in token ids alone: the prompt as the model has read it, and how the model went on, in the words
 * of the run's own tokenizer.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StreamDecoder } from '@slipway/shared/text/stream-decoder.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import type { KernelEvent } from '../supervisor/kernel-protocol.ts';

type SampleText = (sample: Extract<KernelEvent, { type: 'sample' }>) => {
  readonly prompt_text: string;
  readonly text: string;
};

/** `folder`: with tokenizer.json and tokenizer_config.json; read at the first sample. */
export function sampleTextOf(folder: string): SampleText {
  const json = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  let tokenizer: ReturnType<typeof loadTokenizer> | undefined;
  return ({ prompt, ids }) => {
    tokenizer ??= loadTokenizer(json('tokenizer.json'), json('tokenizer_config.json'));
    const decoder = new StreamDecoder(tokenizer, [], { continuation: true });
    const text = ids.map((id) => decoder.push(id).text).join('') + decoder.end();
    return { prompt_text: tokenizer.decode(prompt), text };
  };
}
