/**
 * A tokenizer with one token per byte and the special tokens that are asked for: every id in a test can be told by eye. And a folder that
 * is removed with its test.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BYTE_LETTERS } from '@slipway/shared/text/byte-letters.ts';
import { onTestFinished } from 'vitest';
import type { ModelText } from '../text-side.ts';

export interface TinyOptions {
  readonly chatTemplate?: string | null;
  /** Added behind the 256 bytes, in this order. */
  readonly special?: readonly string[];
  readonly bos?: string;
  /** Each ends a text. */
  readonly eos?: readonly string[];
  readonly addBos?: boolean;
}

export function tinyText(options: TinyOptions = {}): ModelText {
  const { chatTemplate = null, special = ['<s>', '</s>', '<|im_start|>', '<|im_end|>'], bos, eos = ['</s>'] } = options;
  const idOf = (token: string) => {
    const at = special.indexOf(token);
    if (at === -1) throw new Error(`${token} is no special token of this tokenizer`);
    return 256 + at;
  };
  return {
    tokenizerJson: {
      added_tokens: special.map((content) => ({ id: idOf(content), content, special: true })),
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      decoder: { type: 'ByteLevel' },
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(BYTE_LETTERS.map((letter, byte) => [letter, byte])),
        merges: [],
      },
    },
    tokenizerConfig: {
      ...(bos === undefined ? {} : { bos_token: bos, add_bos_token: options.addBos ?? false }),
      ...(eos[0] === undefined ? {} : { eos_token: eos[0] }),
    },
    chatTemplate,
    bosTokenId: bos === undefined ? null : idOf(bos),
    eosTokenIds: eos.map(idOf),
    addBos: options.addBos ?? false,
  };
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-data-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
