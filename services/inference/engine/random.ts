/**
 * xoshiro128** 1.1 (Blackman and Vigna, 2018, prng.di.unimi.it), seeded by SplitMix64 as its authors advise.
 * One generator per sequence: what a sequence draws never depends on its neighbours.
 */

export function splitMix64(seed: bigint): () => bigint {
  let state = BigInt.asUintN(64, seed);
  return () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  };
}

/** 32 random bits a call, from a state of four 32-bit words that are not all zero. */
export function xoshiro128ss(state: readonly [number, number, number, number]): () => number {
  let [a, b, c, d] = state;
  return () => {
    const x = Math.imul(b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}

/** Uniform numbers in [0, 1) with 53 random bits. `seed` is any integer a number holds exactly. */
export function createRandom(seed: number): () => number {
  const mix = splitMix64(BigInt(Math.trunc(seed)));
  const [low, high] = [mix(), mix()];
  const word = (value: bigint, shift: bigint) => Number(BigInt.asUintN(32, value >> shift));
  const next = xoshiro128ss([word(low, 0n), word(low, 32n), word(high, 0n), word(high, 32n)]);
  return () => ((next() >>> 5) * 0x4000000 + (next() >>> 6)) / 0x20000000000000;
}
