import type { TensorProto } from "onnx-buf";
import type { DataType } from "./data-type.js";

/**
 * The bytes of a tensor that a model holds as a list of numbers, as `onnx.helper.make_tensor` writes them: each element
 * type has its list, and small integers and the bits of float16 share that of int32.
 */
export function listedBytes(
  type: DataType,
  { floatData, doubleData, int32Data, int64Data }: TensorProto,
): Uint8Array<ArrayBuffer> {
  const bytes = ({ buffer }: { buffer: ArrayBuffer }) => new Uint8Array(buffer);
  switch (type) {
    case "float32":
      return bytes(Float32Array.from(floatData));
    case "float64":
      return bytes(Float64Array.from(doubleData));
    case "int64":
      return bytes(BigInt64Array.from(int64Data));
    case "int32":
      return bytes(Int32Array.from(int32Data));
    case "float16":
      return bytes(Uint16Array.from(int32Data));
    case "uint8":
    case "bool":
      return Uint8Array.from(int32Data);
  }
}
