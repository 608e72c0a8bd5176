/**
 * The pieces of a vocabulary by their beginnings: from a position in a text, every piece that stands there. Over UTF-16 units; knows
 * no model.
 */

const FIELDS = 3;

export class PieceTrie {
  readonly root = 0;
  /** Open addressing; per slot: parent, unit, child. Parent is -1 where a slot is free. */
  readonly #slots: Int32Array;
  readonly #shift: number;
  readonly #ids: Int32Array;

  constructor(pieces: readonly (readonly [piece: string, id: number])[]) {
    const units = pieces.reduce((sum, [piece]) => sum + piece.length, 0);
    const bits = Math.max(4, Math.ceil(Math.log2(units + 1)) + 1);
    this.#slots = new Int32Array(2 ** bits * FIELDS).fill(-1);
    this.#shift = 32 - bits;
    this.#ids = new Int32Array(units + 1).fill(-1);
    let nodes = 1;
    for (const [piece, id] of pieces) {
      let node = this.root;
      for (let i = 0; i < piece.length; i++) {
        const unit = piece.charCodeAt(i);
        const slot = this.#find(node, unit);
        if (this.#slots[slot] === -1) {
          this.#slots[slot] = node;
          this.#slots[slot + 1] = unit;
          this.#slots[slot + 2] = nodes++;
        }
        node = this.#slots[slot + 2] ?? -1;
      }
      this.#ids[node] = id;
    }
  }

  /** The node one unit further, or -1. */
  child(node: number, unit: number): number {
    // A free slot holds -1 as its child too.
    return this.#slots[this.#find(node, unit) + 2] ?? -1;
  }

  /** The piece that ends at a node, or -1. */
  idAt(node: number): number {
    return this.#ids[node] ?? -1;
  }

  /** The pair's slot, or the free one where it belongs. */
  #find(node: number, unit: number): number {
    const slots = this.#slots;
    let at = ((Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b)) >>> this.#shift) * FIELDS;
    while (slots[at] !== -1 && (slots[at] !== node || slots[at + 1] !== unit)) {
      at += FIELDS;
      if (at === slots.length) at = 0;
    }
    return at;
  }
}
