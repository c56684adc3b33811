import { type Budget, uniformBudget } from "../budget.js";
import type { LayerView } from "../cache-view.js";
import { keepBest } from "../keep-best.js";
import type { Policy } from "../policy.js";
import { attentionOf } from "../attention-of.js";

/**
 * Keeps the tokens that the newest one attends to most, on the mean of all heads of a layer, which so keep the same (TOVA,
 * arXiv 2401.06104). The newest token always stays. With a number of tokens it goes on while tokens are decoded.
 */
export function tova(budget: Budget, name = "tova"): Policy {
  const keep = (layer: LayerView) => keepBest(layer, lastAttention, uniformBudget(budget));
  return {
    name,
    action: "drop",
    needs: { attention: 1 },
    afterPrefill: keep,
    ...("tokens" in budget ? { afterStep: keep } : {}),
  };
}

/** Heads that hold other tokens than the first are scored by themselves. */
function lastAttention({ heads }: LayerView): readonly Float32Array[] {
  const own = heads.map((head) => {
    const { attention, queryHeads, rows } = attentionOf(head, "tova");
    const { tokens } = head;
    return Float32Array.from({ length: tokens }, (_, token) => {
      let sum = 0;
      for (let query = 0; query < queryHeads; query++)
        sum += attention[(query * rows + rows - 1) * tokens + token]!;
      return sum / queryHeads;
    });
  });
  return heads.map(({ positions }, head) => {
    const alike = heads.flatMap((other, index) => (isAlike(other.positions, positions) ? [own[index]!] : []));
    const newest = positions.indexOf(positions.reduce((a, b) => Math.max(a, b)));
    return own[head]!.map((_, token) =>
      token === newest
        ? Number.POSITIVE_INFINITY
        : alike.reduce((sum, scores) => sum + scores[token]!, 0) / alike.length,
    );
  });
}

const isAlike = (a: Int32Array, b: Int32Array): boolean =>
  a === b || (a.length === b.length && a.every((position, index) => position === b[index]));
