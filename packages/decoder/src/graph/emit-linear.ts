import type { Linear } from "../model/decoder-weights.js";
import { transposeFloats } from "../model/transpose.js";
import { emitQuantisedProduct } from "./emit-quantised-product.js";
import type { Emitter } from "./emitter.js";

/** `y = x W + b`: `[..., inputs]` to `[..., outputs]`. */
export function emitLinear(e: Emitter, name: string, x: string, linear: Linear): string {
  const part = e.at(name);
  const product = emitProduct(part, x, linear);
  if (linear.bias === undefined) return product;
  return part.node("Add", "Add", [product, part.floats("Add/bias", [linear.outputs], linear.bias)]);
}

function emitProduct(e: Emitter, x: string, { inputs, outputs, weight }: Linear): string {
  if (e.projections === "q4") {
    const rows = () => transposeFloats(weight, inputs, outputs);
    return emitQuantisedProduct(e, x, { inputs, outputs, rows });
  }
  return e.node("MatMul", "MatMul", [x, e.floats("MatMul/weight", [inputs, outputs], weight)]);
}
