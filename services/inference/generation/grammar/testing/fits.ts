/**
 * Whether a text fits a form, as the engine's threads see it: byte by byte, with a vocabulary of bytes.
 */

import { Constraints } from '../../../engine/constraint/constraints.ts';
import type { LimitedFormat } from '../grammar-of-format.ts';
import { grammarOfFormat } from '../grammar-of-format.ts';

export class FormChecker {
  readonly #constraints = new Constraints({
    bytes: Uint8Array.from({ length: 256 }, (_, byte) => byte),
    ends: Uint32Array.from({ length: 256 }, (_, byte) => byte + 1),
  });

  async fits(format: LimitedFormat, text: string | Uint8Array): Promise<boolean> {
    const guide = this.#constraints.open(grammarOfFormat(format));
    try {
      await guide.opened;
      const bytes = [...Buffer.from(text)];
      guide.ask(bytes);
      const masks = (await guide.answered) ?? [];
      return masks.length === bytes.length + 1 && masks.at(-1)?.mayEnd === true;
    } finally {
      this.#constraints.close(guide);
    }
  }

  end(): Promise<void> {
    return this.#constraints.end();
  }
}
