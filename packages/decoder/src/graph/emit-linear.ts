import type { Linear } from "../model/decoder-weights.js";
import { storedColumns, storedRows } from "../model/stored-pieces.js";
import { transposeFloats } from "../model/transpose.js";
import { quantiseRows } from "../quantisation/four-bit-blocks.js";
import { emitFourBitProduct } from "./emit-quantised-product.js";
import type { Emitter } from "./emitter.js";

/** `y = x W + b`: `[..., inputs]` to `[..., outputs]`. */
export function emitLinear(e: Emitter, name: string, x: string, linear: Linear): string {
  const part = e.at(name);
  const product = emitProduct(part, x, linear);
  if (linear.bias === undefined) return product;
  return part.node("Add", "Add", [product, part.floats("Add/bias", [linear.outputs], linear.bias)]);
}

function emitProduct(e: Emitter, x: string, linear: Linear): string {
  const { inputs, outputs, weight } = linear;
  if (e.projections === "q4") {
    const fourBit = () =>
      linear.fourBit ?? quantiseRows(transposeFloats(weight, inputs, outputs), outputs, inputs);
    return emitFourBitProduct(e, x, { inputs, outputs, fourBit });
  }
  return e.node("MatMul", "MatMul", [x, emitWeight(e, linear)]);
}

function emitWeight(e: Emitter, { inputs, outputs, weight, stored }: Linear): string {
  const name = "MatMul/weight";
  if (stored === undefined) return e.floats(name, [inputs, outputs], weight);
  const fill = stored.isTransposed ? storedColumns : storedRows;
  return e.stored(name, [inputs, outputs], (piece) => fill(stored.matrix, piece));
}
