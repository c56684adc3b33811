/** Sixteen-bit floats, as their bits: every pattern of one kind stands for one pattern of another. */

import { Float16Array } from "@petamoriken/float16";

/** Sixteen-bit floats of checkpoints. */
export type HalfDtype = "F16" | "BF16";

const PATTERNS = 2 ** 16;

/**
 * For each of the 65536 patterns of `from` the bits of the same number in float32.
 *
 * Numerics: exact; see `decodeFloats`.
 */
export function float32Bits(from: HalfDtype): Uint32Array {
  const make = from === "F16" ? float32BitsOfF16 : float32BitsOfBf16;
  const known = float32Tables.get(from) ?? make();
  float32Tables.set(from, known);
  return known;
}

const float32Tables = new Map<HalfDtype, Uint32Array>();

const float32BitsOfBf16 = (): Uint32Array => Uint32Array.from({ length: PATTERNS }, (_, bits) => bits << 16);

function float32BitsOfF16(): Uint32Array {
  const patterns = Uint16Array.from({ length: PATTERNS }, (_, bits) => bits);
  const values = Float32Array.from(new Float16Array(patterns.buffer));
  return new Uint32Array(values.buffer);
}

/**
 * For each of the 65536 patterns of `from` the bits of the nearest float16, ties to even.
 *
 * Numerics: of F16, the pattern itself. Numbers of BF16 from 65520 on become infinity.
 */
export function float16Bits(from: HalfDtype): Uint16Array {
  const known = float16Tables.get(from) ?? makeFloat16Bits(from);
  float16Tables.set(from, known);
  return known;
}

const float16Tables = new Map<HalfDtype, Uint16Array>();

function makeFloat16Bits(from: HalfDtype): Uint16Array {
  if (from === "F16") return Uint16Array.from({ length: PATTERNS }, (_, bits) => bits);
  const halves = new Uint16Array(PATTERNS);
  roundToHalves(float32Bits(from), halves);
  return halves;
}

/**
 * Rounds float32 numbers, given as bits, to float16: to nearest, ties to even. Whether one that is finite has become
 * infinite.
 */
export function roundToHalves(bits: Uint32Array, halves: Uint16Array): boolean {
  let overflows = 0;
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const magnitude = word & 0x7fffffff;
    const sign = (word >>> 16) & 0x8000;
    if (magnitude >= OVERFLOW_BITS) {
      overflows |= magnitude < INFINITY_BITS ? 1 : 0;
      halves[i] = magnitude > INFINITY_BITS ? HALF_NAN : sign | HALF_INFINITY;
    } else if (magnitude >= LEAST_NORMAL_BITS) {
      // Adding just under half of the last kept bit, plus that bit, rounds ties to even; then the exponent moves.
      halves[i] = sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - EXPONENT_SHIFT) >>> 13);
    } else {
      halves[i] = sign | subnormal(magnitude);
    }
  }
  return overflows !== 0;
}

/** 65520, the first number that rounds to infinity in float16. */
const OVERFLOW_BITS = 0x477ff000;
const INFINITY_BITS = 0x7f800000;
const HALF_INFINITY = 0x7c00;
const HALF_NAN = 0x7e00;
/** 2^-14, the least normal number of float16. */
const LEAST_NORMAL_BITS = 0x38800000;
/** Exponents count from 127 in float32 and from 15 in float16. */
const EXPONENT_SHIFT = (127 - 15) << 23;

/** Multiples of 2^-24: the kept bits of the significand, rounded to nearest, ties to even. */
function subnormal(magnitude: number): number {
  const dropped = 126 - (magnitude >>> 23);
  // Below half of 2^-24, all bits are dropped.
  if (dropped > 24) return 0;
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const kept = significand >>> dropped;
  const rest = significand & ((1 << dropped) - 1);
  const half = 1 << (dropped - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}
