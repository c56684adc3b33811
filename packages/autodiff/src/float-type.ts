import type { DataType } from "@kvfold/onnx";

/** Element types that have gradients. */
export type FloatType = "float16" | "float32" | "float64";

/** Whether values of this type have gradients. */
export const isFloat = (type: DataType | undefined): type is FloatType =>
  type === "float16" || type === "float32" || type === "float64";
