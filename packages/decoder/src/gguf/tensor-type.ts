import { encodeFloats } from "@kvfold/safetensors";
import { encodeQ8, Q8_BLOCK, Q8_BLOCK_BYTES } from "./encode-q8-0.js";

/** Element types of tensors in a GGUF file that kvfold writes. */
export type TensorType = "F32" | "F16" | "Q8_0";

/** What a type means for the bytes of a tensor. */
interface TensorTypeTraits {
  /** Its code in GGUF. */
  readonly code: number;
  /** Values that are encoded together; a row of a tensor holds whole blocks. */
  readonly block: number;
  readonly blockBytes: number;
  /** The same in ONNX, where values are plain floats. */
  readonly float?: "float32" | "float16";
  readonly encode: (values: Float32Array, tensor: string) => Uint8Array;
}

export const tensorTypes: Readonly<Record<TensorType, TensorTypeTraits>> = {
  F32: {
    code: 0,
    block: 1,
    blockBytes: 4,
    float: "float32",
    encode: (values, tensor) => encodeFloats(values, "F32", { tensor }),
  },
  F16: {
    code: 1,
    block: 1,
    blockBytes: 2,
    float: "float16",
    encode: (values, tensor) => encodeFloats(values, "F16", { tensor }),
  },
  Q8_0: { code: 8, block: Q8_BLOCK, blockBytes: Q8_BLOCK_BYTES, encode: encodeQ8 },
};

/** Bytes of `count` values. */
export const tensorBytes = (type: TensorType, count: number): number => {
  const { block, blockBytes } = tensorTypes[type];
  return (count / block) * blockBytes;
};
