import { decodeFloats } from "@kvfold/safetensors";
import { Tensor } from "./port.js";

/** A tensor of zeros. Float16 is handed over as bits: a `Float16Array` is missing before Node 24. */
export function zeros(type: "float32" | "float16", dims: readonly number[]): Tensor {
  const length = dims.reduce((product, size) => product * size, 1);
  return type === "float16"
    ? new Tensor("float16", new Uint16Array(length), dims)
    : new Tensor("float32", new Float32Array(length), dims);
}

/** An int64 tensor of safe integers. */
export const int64 = (values: ArrayLike<number>, dims: readonly number[]): Tensor =>
  new Tensor(
    "int64",
    BigInt64Array.from({ length: values.length }, (_, i) => BigInt(values[i]!)),
    dims,
  );

/** Numbers `[start, end)` of a float tensor on the CPU: a view of float32, float16 decoded. */
export function floatsOf({ type, data }: Tensor, start: number, end: number): Float32Array {
  if (type === "float32") return (data as Float32Array).subarray(start, end);
  const halves = (data as unknown as Uint16Array).subarray(start, end);
  return decodeFloats(new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength), "F16");
}
