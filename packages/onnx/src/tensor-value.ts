import { type DataType, elementBytes } from "./data-type.js";
import { int64 } from "./int64.js";
import { OnnxError } from "./onnx-error.js";

/** A dense tensor as bytes: little-endian, row-major, `bytes.length = prod(dims) * elementBytes(type)`. */
export interface TensorValue {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly bytes: Uint8Array;
}

/** Byte length of a tensor; `undefined` for dimensions that are not sizes, or whose product is above 2^53. */
export function tensorBytes(type: DataType, dims: readonly number[]): number | undefined {
  if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) return undefined;
  if (dims.includes(0)) return 0;
  const bytes = dims.reduce((product, dim) => product * dim, elementBytes(type));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/**
 * Makes a tensor of raw little-endian bytes.
 *
 * @throws {OnnxError} `invalid-graph` when a dimension is no size, or the byte count does not fit `dims`.
 */
export function tensorValue(type: DataType, dims: readonly number[], bytes: Uint8Array): TensorValue {
  const expected = tensorBytes(type, dims);
  if (bytes.byteLength === expected) return { type, dims, bytes };
  const needs =
    expected === undefined
      ? "expected dimensions that are whole numbers with a product below 2^53"
      : `needs ${expected} bytes, found ${bytes.byteLength}`;
  throw new OnnxError("invalid-graph", `tensorValue: ${type} [${dims.join(", ")}] ${needs}`);
}

/** A float32 tensor of the numbers of `data`, which is not copied. */
export const float32Value = (dims: readonly number[], data: Float32Array): TensorValue =>
  tensorValue("float32", dims, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));

/**
 * An int64 tensor: a vector by default, a scalar with `dims = []`.
 *
 * @throws {OnnxError} `invalid-graph` for values that are no integers of 64 bits, or do not fit `dims`.
 */
export function int64Value(
  values: readonly number[],
  dims: readonly number[] = [values.length],
): TensorValue {
  const data = BigInt64Array.from(values, (value, index) => int64(`int64Value: value ${index}`, value));
  return tensorValue("int64", dims, new Uint8Array(data.buffer));
}
