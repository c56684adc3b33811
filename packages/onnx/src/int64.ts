import { OnnxError } from "./onnx-error.js";

/**
 * A number as a 64-bit integer.
 *
 * @param what - Names the number in the error.
 * @throws {OnnxError} `invalid-graph` for fractions, NaN, infinities and what 64 bits cannot hold.
 */
export function int64(what: string, value: number): bigint {
  if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63) return BigInt(value);
  throw new OnnxError("invalid-graph", `${what}: expected an integer of 64 bits, found ${value}`);
}
