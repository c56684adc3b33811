import { decodeFloats } from "@kvfold/safetensors";
import { type CacheTensor, elementBytes } from "./cache-layout.js";
import { Tensor } from "./port.js";

/** A tensor of zeros. Float16 is handed over as bits: a `Float16Array` is missing before Node 24. */
export function zeros(type: CacheTensor["type"], dims: readonly number[]): Tensor {
  const length = dims.reduce((product, size) => product * size, 1);
  return tensorOver(type, new ArrayBuffer(length * elementBytes({ type })), dims);
}

/** A tensor whose numbers are all that a buffer holds. */
export function tensorOver(type: CacheTensor["type"], buffer: ArrayBuffer, dims: readonly number[]): Tensor {
  if (type === "uint8") return new Tensor(type, new Uint8Array(buffer), dims);
  return type === "float16"
    ? new Tensor(type, new Uint16Array(buffer), dims)
    : new Tensor(type, new Float32Array(buffer), dims);
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
