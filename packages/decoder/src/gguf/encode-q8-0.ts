import { decodeFloats, encodeFloats } from "@kvfold/safetensors";

/** Values that share a scale in Q8_0. */
export const Q8_BLOCK = 32;
/** A float16 scale and 32 bytes. */
export const Q8_BLOCK_BYTES = 34;

const LARGEST = 127;

/**
 * Encodes values as Q8_0: blocks of 32, each a float16 scale and 32 signed bytes; a value is scale times byte.
 *
 * Numerics: the scale is the block's largest magnitude over 127, rounded to float16, and bytes are rounded to nearest with
 * that rounded scale, so the error is at most half the scale (and, where the scale rounds down, `2^-11` of the largest
 * magnitude). Blocks below about `4e-6` become zero.
 *
 * @param values - Their count is a multiple of 32.
 * @param tensor - For errors.
 * @throws {SafetensorsError} `overflow` when a scale is beyond float16.
 */
export function encodeQ8(values: Float32Array, tensor: string): Uint8Array<ArrayBuffer> {
  const blocks = values.length / Q8_BLOCK;
  const scales = encodeFloats(blockScales(values), "F16", { tensor });
  const rounded = decodeFloats(scales, "F16");
  const encoded = new Uint8Array(blocks * Q8_BLOCK_BYTES);
  const signed = new Int8Array(encoded.buffer);
  for (let block = 0, at = 0; block < blocks; block++) {
    const inverse = rounded[block] === 0 ? 0 : 1 / rounded[block]!;
    encoded[at++] = scales[2 * block]!;
    encoded[at++] = scales[2 * block + 1]!;
    for (let i = block * Q8_BLOCK; i < (block + 1) * Q8_BLOCK; i++) {
      signed[at++] = Math.max(-LARGEST, Math.min(LARGEST, Math.round(values[i]! * inverse)));
    }
  }
  return encoded;
}

function blockScales(values: Float32Array): Float32Array {
  const scales = new Float32Array(values.length / Q8_BLOCK);
  for (let block = 0, i = 0; block < scales.length; block++) {
    let largest = 0;
    for (const end = i + Q8_BLOCK; i < end; i++) largest = Math.max(largest, Math.abs(values[i]!));
    scales[block] = largest / LARGEST;
  }
  return scales;
}
