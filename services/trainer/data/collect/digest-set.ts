/**
 * Which examples were seen, by 16 bytes of their sha256: 20 to 40 bytes of memory each, where a Set of strings takes some 150. Open
 * addressing; knows nothing of examples.
 */

const WORDS = 4;
const FULLEST = 0.7;

export class DigestSet {
  #slots = new Uint32Array(1024 * WORDS);
  size = 0;

  /** False when it was there already. `digest`: at least 16 bytes, evenly distributed. */
  add(digest: Buffer): boolean {
    if ((this.size + 1) * WORDS > this.#slots.length * FULLEST) this.#grow();
    const words = wordsOf(digest);
    const slot = place(this.#slots, words);
    if (slot === undefined) return false;
    this.#slots.set(words, slot);
    this.size++;
    return true;
  }

  has(digest: Buffer): boolean {
    return place(this.#slots, wordsOf(digest)) === undefined;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += WORDS) {
      const words = old.subarray(at, at + WORDS);
      if (words.every((word) => word === 0)) continue;
      const slot = place(this.#slots, words);
      if (slot !== undefined) this.#slots.set(words, slot);
    }
  }
}

function wordsOf(digest: Buffer): Uint32Array {
  const words = Uint32Array.of(
    digest.readUInt32LE(0),
    digest.readUInt32LE(4),
    digest.readUInt32LE(8),
    digest.readUInt32LE(12),
  );
  // A digest of zeros is none: it would look like an empty slot.
  return words.every((word) => word === 0) ? words.fill(1) : words;
}

/** The empty slot where it belongs; undefined when it is there. */
function place(slots: Uint32Array, words: Uint32Array): number | undefined {
  const count = slots.length / WORDS;
  for (let index = (words[0] as number) % count; ; index = (index + 1) % count) {
    const at = index * WORDS;
    let isEmpty = true;
    let isSame = true;
    for (let word = 0; word < WORDS; word++) {
      if (slots[at + word] !== 0) isEmpty = false;
      if (slots[at + word] !== words[word]) isSame = false;
    }
    if (isEmpty) return at;
    if (isSame) return undefined;
  }
}
