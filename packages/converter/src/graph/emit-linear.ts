import type { Linear } from "../model/decoder-weights.js";
import type { Emitter } from "./emitter.js";

/** `y = x W + b`: `[..., inputs]` to `[..., outputs]`. */
export function emitLinear(e: Emitter, name: string, x: string, linear: Linear): string {
  const part = e.at(name);
  const weight = part.floats("MatMul/weight", [linear.inputs, linear.outputs], linear.weight);
  const product = part.node("MatMul", "MatMul", [x, weight]);
  if (linear.bias === undefined) return product;
  return part.node("Add", "Add", [product, part.floats("Add/bias", [linear.outputs], linear.bias)]);
}
