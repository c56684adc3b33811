import { type DataType, elementBytes } from "./data-type.js";
import { OnnxError } from "./onnx-error.js";

/** A dense tensor as bytes: little-endian, row-major, `bytes.length = prod(dims) * elementBytes(type)`. */
export interface TensorValue {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly bytes: Uint8Array;
}

/**
 * Makes a tensor of raw little-endian bytes.
 *
 * @throws {OnnxError} `invalid-graph` when the byte count does not fit `dims`.
 */
export function tensorValue(type: DataType, dims: readonly number[], bytes: Uint8Array): TensorValue {
  const expected = dims.reduce((product, dim) => product * dim, elementBytes(type));
  if (bytes.byteLength !== expected) {
    throw new OnnxError(
      "invalid-graph",
      `tensorValue: ${type} [${dims.join(", ")}] needs ${expected} bytes, got ${bytes.byteLength}`,
    );
  }
  return { type, dims, bytes };
}

/** A float32 tensor of the numbers of `data`, which is not copied. */
export const float32Value = (dims: readonly number[], data: Float32Array): TensorValue =>
  tensorValue("float32", dims, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));

/** An int64 tensor: a vector by default, a scalar with `dims = []`. */
export function int64Value(
  values: readonly number[],
  dims: readonly number[] = [values.length],
): TensorValue {
  const data = BigInt64Array.from(values, BigInt);
  return tensorValue("int64", dims, new Uint8Array(data.buffer));
}
