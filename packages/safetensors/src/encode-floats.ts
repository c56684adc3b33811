import { Float16Array } from "@petamoriken/float16";
import { SafetensorsError } from "./safetensors-error.js";

/** The dtypes that {@link encodeFloats} writes. */
export type EncodedDtype = "F32" | "F16" | "BF16";

/**
 * Encodes float32 values as little-endian bytes of `dtype`.
 *
 * Numerics: rounds to nearest, ties to even; what exceeds the range becomes infinite, a NaN stays a NaN.
 *
 * @throws {SafetensorsError} `unsupported-dtype` for other dtypes.
 * @example
 * ```ts
 * import { encodeFloats } from "@kvfold/safetensors";
 * Array.from(encodeFloats(Float32Array.of(1, -2), "BF16")) // => [0x80, 0x3f, 0x00, 0xc0]
 * ```
 */
export function encodeFloats(values: Float32Array, dtype: EncodedDtype): Uint8Array {
  switch (dtype) {
    case "F32":
      return new Uint8Array(values.slice().buffer);
    case "F16":
      return new Uint8Array(new Float16Array(values).buffer);
    case "BF16":
      return encodeBrainFloats(values);
    default:
      throw new SafetensorsError(
        "unsupported-dtype",
        `encodeFloats: expected F32, F16 or BF16, got ${String(dtype satisfies never)}`,
      );
  }
}

function encodeBrainFloats(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) halves[i] = roundToBrainFloat(bits[i]!);
  return new Uint8Array(halves.buffer);
}

const infinityBits = 0x7f800000;

/** Adding just under half of the last kept bit, plus that bit, rounds ties to even. */
function roundToBrainFloat(bits: number): number {
  // Rounding could carry a NaN into infinity or zero; its quiet bit keeps it one.
  if ((bits & 0x7fffffff) > infinityBits) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
