import type { TensorType } from "./tensor-type.js";

/** What the weights of a GGUF file are stored in: all in float32 or float16, or matrices in eight bits. */
export type GgufDtype = "fp32" | "fp16" | "q8";

/** What a dtype means for a GGUF file. */
export interface GgufDtypeTraits {
  /** Type of matrices; vectors are float32. */
  readonly matrices: TensorType;
  /** `general.file_type`. */
  readonly fileType: number;
  readonly fileName: string;
}

/** The dtypes of GGUF files, the most precise first. */
export const ggufDtypes: Readonly<Record<GgufDtype, GgufDtypeTraits>> = {
  fp32: { matrices: "F32", fileType: 0, fileName: "model-f32.gguf" },
  fp16: { matrices: "F16", fileType: 1, fileName: "model-f16.gguf" },
  q8: { matrices: "Q8_0", fileType: 7, fileName: "model-q8_0.gguf" },
};
