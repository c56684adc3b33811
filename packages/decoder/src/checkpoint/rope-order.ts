import type { AttentionSource } from "../model/block-spec.js";
import type { HeadNormWeights, Linear } from "../model/decoder-weights.js";
import { reorderRows } from "../model/stored-matrix.js";

/** Where each number of a head comes from when heads change their order: `to[i] = from[order[i]]`. */
export type HeadOrder = readonly number[];

/** The order that brings stored heads to half-split order, or `undefined` where they are in it. */
export function storedToHalfSplit({
  rope,
  ropeLayout,
  headDim,
}: Pick<AttentionSource, "rope" | "ropeLayout" | "headDim">): HeadOrder | undefined {
  if (rope === undefined || ropeLayout === "half-split") return undefined;
  const half = rope.rotaryDim / 2;
  return Array.from({ length: headDim }, (_, i) => {
    if (i >= rope.rotaryDim) return i;
    return i < half ? 2 * i : 2 * (i - half) + 1;
  });
}

/** The order that undoes `order`. */
export function inverseOrder(order: HeadOrder): HeadOrder {
  return order.map((_, from) => order.indexOf(from));
}

/** A projection with the outputs of every head in another order; one that is still stored has a row for each. */
export function reorderLinear(linear: Linear, order: HeadOrder | undefined): Linear {
  if (order === undefined) return linear;
  const { weight, stored, bias } = linear;
  return {
    ...linear,
    weight: reorderHeads(weight, order),
    stored: stored && { ...stored, matrix: reorderRows(stored.matrix, order) },
    bias: bias && reorderHeads(bias, order),
  };
}

export function reorderNorm(norm: HeadNormWeights, order: HeadOrder | undefined): HeadNormWeights {
  return order === undefined ? norm : { ...norm, weight: reorderHeads(norm.weight, order) };
}

/** Rows of heads side by side: each head on its own. */
function reorderHeads(values: Float32Array, order: HeadOrder): Float32Array {
  const size = order.length;
  const result = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += size) {
    for (let i = 0; i < size; i++) result[start + i] = values[start + order[i]!]!;
  }
  return result;
}
