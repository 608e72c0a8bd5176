/**
 * Numbers of which nobody knows yet how many will come, four bytes each. Pure.
 */
export class GrowingColumn {
  #values = new Uint32Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Uint32Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  /** As they are now. */
  values(): Uint32Array {
    return this.#values.subarray(0, this.length);
  }
}
