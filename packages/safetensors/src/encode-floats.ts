import { roundToHalves } from "./halves.js";
import { SafetensorsError } from "./safetensors-error.js";

/** The dtypes that {@link encodeFloats} writes. */
export type EncodedDtype = "F32" | "F16" | "BF16";

export declare namespace encodeFloats {
  interface Options {
    /** Name of the tensor, for errors. */
    readonly tensor?: string;
  }
}

/**
 * Encodes float32 values as little-endian bytes of `dtype`.
 *
 * Numerics: rounds to nearest, ties to even. Infinities and NaN are kept. A finite value that would round to infinity is
 * an error: from 65520 on in F16, whose largest number is 65504, and from 3.3961775e38 on in BF16.
 *
 * @throws {SafetensorsError} `overflow` naming the tensor, the limit, the value and its index; `unsupported-dtype` for
 * other dtypes.
 * @example
 * ```ts
 * import { encodeFloats } from "@kvfold/safetensors";
 * Array.from(encodeFloats(Float32Array.of(1, -2), "BF16")) // => [0x80, 0x3f, 0x00, 0xc0]
 * ```
 */
export function encodeFloats(
  values: Float32Array,
  dtype: EncodedDtype,
  { tensor }: encodeFloats.Options = {},
): Uint8Array {
  switch (dtype) {
    case "F32":
      return new Uint8Array(values.slice().buffer);
    case "F16":
      return encodeHalves(values, tensor);
    case "BF16":
      return encodeBrainFloats(values, tensor);
    default:
      throw new SafetensorsError(
        "unsupported-dtype",
        `encodeFloats: expected F32, F16 or BF16, found ${String(dtype satisfies never)}`,
      );
  }
}

function encodeHalves(values: Float32Array, tensor: string | undefined): Uint8Array {
  const halves = new Uint16Array(values.length);
  if (roundToHalves(bitsOf(values), halves)) throw halfOverflow(values, tensor);
  return new Uint8Array(halves.buffer);
}

/**
 * Encodes float32 values as float16 into memory that is there already.
 *
 * Numerics: as `encodeFloats` with F16.
 *
 * @returns Whether float16 can hold all of them; if not, what is in `halves` is of no use.
 */
export const encodeHalvesInto = (values: Float32Array, halves: Uint16Array): boolean =>
  !roundToHalves(bitsOf(values), halves);

/** Halfway between 65504 and the next power of two: the first number that rounds to infinity in F16. */
const HALF_OVERFLOW = 65520;

function halfOverflow(values: Float32Array, tensor: string | undefined): SafetensorsError {
  const index = values.findIndex((value) => Math.abs(value) >= HALF_OVERFLOW && Number.isFinite(value));
  return overflow(values, index, "65504, the largest number of F16", tensor);
}

const bitsOf = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);

function encodeBrainFloats(values: Float32Array, tensor: string | undefined): Uint8Array {
  const bits = bitsOf(values);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & 0x7fffffff) >= BRAIN_OVERFLOW_BITS) halves[i] = encodeExtreme(values, i, tensor);
    else halves[i] = roundToBrainFloat(bits[i]!);
  }
  return new Uint8Array(halves.buffer);
}

/** The first float32 that rounds to infinity in BF16. Infinity itself and all NaN have larger bits. */
const BRAIN_OVERFLOW_BITS = 0x7f7f8000;

/** Adding just under half of the last kept bit, plus that bit, rounds ties to even. */
const roundToBrainFloat = (bits: number): number => (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;

/** Encodes an infinity or a NaN and refuses finite numbers. */
function encodeExtreme(values: Float32Array, index: number, tensor: string | undefined): number {
  const value = values[index]!;
  if (Number.isNaN(value)) return 0x7fc0;
  if (Number.isFinite(value))
    throw overflow(values, index, "3.3895314e38, the largest number of BF16", tensor);
  return value > 0 ? 0x7f80 : 0xff80;
}

const overflow = (
  values: Float32Array,
  index: number,
  limit: string,
  tensor: string | undefined,
): SafetensorsError =>
  new SafetensorsError(
    "overflow",
    `${tensor === undefined ? "encodeFloats" : `tensor ${tensor}`}: expected magnitudes of at most ${limit}, ` +
      `found ${values[index]} at index ${index}; write it as F32`,
  );
