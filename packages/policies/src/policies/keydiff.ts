import type { Budget } from "../budget.js";
import { uniformBudget } from "../budget.js";
import type { HeadView } from "../cache-view.js";
import { keepBest } from "../keep-best.js";
import type { Policy } from "../policy.js";

/**
 * Keeps the keys that are least like the others: score `-cos(k, mean of k / |k|)` (KeyDiff, arXiv 2504.15364).
 *
 * Numerics: accumulated in float64; a key of zeros has cosine 0.
 */
export const keydiff = (budget: Budget, name = "keydiff"): Policy => ({
  name,
  action: "drop",
  afterPrefill: (layer) =>
    keepBest(layer, ({ heads }) => heads.map(keyDifference), uniformBudget(budget)),
});

function keyDifference({ keys, tokens }: HeadView): Float32Array {
  const size = keys.length / tokens;
  const norms = Float64Array.from({ length: tokens }, (_, token) => normOf(keys, token, size));
  const mean = new Float64Array(size);
  for (let token = 0; token < tokens; token++)
    for (let i = 0; i < size; i++) mean[i]! += keys[token * size + i]! / norms[token]!;
  const length = Math.hypot(...mean) || 1;
  return Float32Array.from({ length: tokens }, (_, token) => {
    let product = 0;
    for (let i = 0; i < size; i++) product += keys[token * size + i]! * mean[i]!;
    return -product / (norms[token]! * length);
  });
}

function normOf(keys: Float32Array, token: number, size: number): number {
  let sum = 0;
  for (let i = token * size; i < (token + 1) * size; i++) sum += keys[i]! ** 2;
  return Math.sqrt(sum) || 1;
}
