import { type Budget, uniformBudget } from "../budget.js";
import type { HeadView } from "../cache-view.js";
import { keepBest } from "../keep-best.js";
import type { Policy } from "../policy.js";

export declare namespace knorm {
  interface Options {
    /** First layers that keep all: 2 unless given, as in the paper; NVIDIA/kvpress spares none. */
    readonly spare?: number;
  }
}

/** Keeps the keys of the smallest L2 norm, which attention reads most (the L2-norm strategy, arXiv 2406.11430). */
export const knorm = (budget: Budget, { spare = 2 }: knorm.Options = {}, name = "knorm"): Policy => ({
  name,
  action: "drop",
  afterPrefill: (layer) =>
    layer.layer < spare
      ? undefined
      : keepBest(layer, ({ heads }) => heads.map(smallness), uniformBudget(budget)),
});

function smallness({ keys, tokens }: HeadView): Float32Array {
  const size = keys.length / tokens;
  return Float32Array.from({ length: tokens }, (_, token) => {
    let sum = 0;
    for (let i = token * size; i < (token + 1) * size; i++) sum += keys[i]! ** 2;
    return -Math.sqrt(sum);
  });
}
