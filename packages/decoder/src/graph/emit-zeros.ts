import { tensorValue } from "@kvfold/onnx";
import type { Emitter } from "./emitter.js";

/** Zeros of the graph's float type; `dims` are int64 vectors that make the shape together. */
export function emitZeros(e: Emitter, dims: readonly string[]): string {
  const shape = e.node("Concat", "shape/Concat", dims, { attributes: { axis: 0 } });
  const value = tensorValue(e.floatType, [1], new Uint8Array(e.floatType === "float16" ? 2 : 4));
  return e.node("ConstantOfShape", "ConstantOfShape", [shape], { attributes: { value } });
}
