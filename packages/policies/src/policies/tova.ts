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
  const sums = new Float64Array(tokens);
  for (const { attention } of heads) addRows(sums, attention!);
  const dropped = Int32Array.of(leastOf(sums, tokens - 1));
  return heads.map(() => ({ dropped }));
}

/** Adds the rows of a head, one number after the other: V8 takes three times as long to go through several rows at once. */
function addRows(sums: Float64Array, rows: Float32Array): void {
  const { length } = sums;
  for (let at = 0; at < rows.length; at += length)
    for (let token = 0; token < length; token++) sums[token]! += rows[at + token]!;
}

/** The first of the smallest of the first `count` numbers. */
function leastOf(numbers: Float64Array, count: number): number {
  let least = 0;
  for (let at = 1; at < count; at++) if (numbers[at]! < numbers[least]!) least = at;
  return least;
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
