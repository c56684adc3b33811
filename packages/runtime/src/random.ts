import { RuntimeError } from "./runtime-error.js";

/** A source of uniform numbers in `[0, 1)`. */
export type Random = () => number;

/**
 * A seeded generator: xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), whose
 * state of 128 bits is filled from `seed` by splitmix32. Not for secrets.
 *
 * Numerics: multiples of 2^-32; period 2^128 - 1; the same sequence on every machine.
 *
 * @param seed - An integer; taken modulo 2^32.
 * @throws {RuntimeError} `invalid-argument` when `seed` is not an integer.
 *
 * @example
 * ```ts
 * import { createRandom } from "@kvfold/runtime";
 *
 * createRandom(1)() === createRandom(1)() // => true
 * ```
 */
export function createRandom(seed: number): Random {
  if (!Number.isInteger(seed)) {
    throw new RuntimeError("invalid-argument", `createRandom: expected an integer seed, found ${seed}`);
  }
  const next = xoshiro128([...splitmix32(seed, 4)] as State);
  return () => next() / 2 ** 32;
}

type State = [number, number, number, number];

/** The generator itself: 32 random bits a call, from a state that is not all zero. */
export function xoshiro128(state: State): () => number {
  let [a, b, c, d] = state;
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result;
  };
}

const rotateLeft = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

/** Spreads a seed over `count` words (32-bit finaliser of MurmurHash3 over a Weyl sequence). */
function* splitmix32(seed: number, count: number): Generator<number> {
  let weyl = seed | 0;
  for (let i = 0; i < count; i++) {
    weyl = (weyl + 0x9e3779b9) | 0;
    const mixed = Math.imul(weyl ^ (weyl >>> 16), 0x85ebca6b);
    const again = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    yield (again ^ (again >>> 16)) >>> 0;
  }
}
