/** The `onnxruntime-web` module, or what of it is used. */
export type OrtWeb = Pick<typeof import("onnxruntime-web"), "InferenceSession" | "Tensor" | "env">;
