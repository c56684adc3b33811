import { allBut } from "../all-but.js";
import { type Budget, uniformBudget } from "../budget.js";
import type { HeadView, LayerView } from "../cache-view.js";
import { attentionOf } from "../head-attention.js";
import { scoreInOrder } from "../in-order.js";
import { keepBest } from "../keep-best.js";
import type { LayerChange, Policy } from "../policy.js";
import { tovaScores } from "../scores/tova.js";

/**
 * Keeps the tokens that the newest one attends to most, on the mean of all heads of a layer, which so keep the same (TOVA,
 * arXiv 2401.06104). The newest token always stays. With a number of tokens it goes on while tokens are decoded.
 */
export function tova(budget: Budget, name = "tova"): Policy {
  const scorer = (layer: LayerView) => lastAttention(layer, name);
  const keep = (layer: LayerView) => keepBest(layer, scorer, uniformBudget(budget));
  const afterPrefill = { name, action: "drop", needs: { attention: 1 }, afterPrefill: keep } as const;
  if (!("tokens" in budget)) return afterPrefill;
  return {
    ...afterPrefill,
    afterStep: (layer) => (isOneOver(layer, budget.tokens) ? dropLeast(layer) : keep(layer)),
  };
}

/** Whether all heads hold the same tokens in the same slots, one too many. */
const isOneOver = ({ heads, run }: LayerView, budget: number): boolean =>
  run === 1 &&
  heads.every(
    (head) => head.tokens === budget + 1 && head.attention !== undefined && haveSameTokens(head, heads[0]!),
  );

/** One token over the budget is found without sorting, since a step is short; the newest, in the last slot, stays. */
function dropLeast({ heads }: LayerView): LayerChange {
  const { tokens } = heads[0]!;
  const rows = heads.flatMap(({ attention }) =>
    Array.from({ length: attention!.length / tokens }, (_, row) =>
      attention!.subarray(row * tokens, (row + 1) * tokens),
    ),
  );
  let least = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (let token = 0; token < tokens - 1; token++) {
    let sum = 0;
    for (let row = 0; row < rows.length; row++) sum += rows[row]![token]!;
    if (sum < smallest) [least, smallest] = [token, sum];
  }
  const kept = allBut(least, tokens);
  return heads.map(() => ({ kept }));
}

/** Heads that hold other tokens than the first are scored by themselves. */
function lastAttention(layer: LayerView, name: string): readonly Float32Array[] {
  const own = layer.heads.map((head) =>
    scoreInOrder(head, (ordered) => tovaScores(attentionOf(ordered, layer, 1, name))),
  );
  return layer.heads.map((head) => {
    const alike = own.filter((_, index) => haveSameTokens(layer.heads[index]!, head));
    return alike[0]!.map((_, token) => alike.reduce((sum, scores) => sum + scores[token]! / alike.length, 0));
  });
}

const haveSameTokens = (a: HeadView, b: HeadView): boolean => a === b || areEqual(a.positions, b.positions);

function areEqual(a: Int32Array, b: Int32Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
