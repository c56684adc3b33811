import { findMethod } from "../methods/index.js";
import type { Group } from "../methods/method.js";
import { none } from "../methods/none.js";
import type { BlockWeights } from "../model/decoder-weights.js";
import type { LayerPlan } from "../plan/fold-plan.js";
import { foldAttention, type LayerBases } from "./fold-attention.js";
import { groupsOf, type LayerContext } from "./group.js";

/** A folded block and what its bases keep. */
export interface FoldedBlock {
  readonly weights: BlockWeights;
  /** Share of the energy that each group's basis keeps; see `Basis.retained`. */
  readonly retained: {
    readonly keys: readonly (number | undefined)[];
    readonly values: readonly (number | undefined)[];
  };
}

/** Chooses the bases of one block with the method of that name, and folds the block with them. */
export function foldBlock(
  block: BlockWeights,
  method: string,
  plan: LayerPlan,
  context: Omit<LayerContext, "attention">,
  positions: "rope" | "alibi",
): FoldedBlock {
  if (method === none.name) return { weights: block, retained: { keys: [], values: [] } };
  const bases = chooseBases(method, plan, { ...context, attention: block.attention });
  return {
    weights: { ...block, attention: foldAttention(block.attention, bases, positions) },
    retained: {
      keys: bases.keys.map(({ retained }) => retained),
      values: bases.values.map(({ retained }) => retained),
    },
  };
}

/** The bases of a layer, by the method of that name. */
export function chooseBases(method: string, plan: LayerPlan, context: LayerContext): LayerBases {
  const { basis, bases = (groups: readonly Group[]) => groups.map(basis) } = findMethod(method);
  return {
    keys: bases(groupsOf("keys", plan.keys, context)),
    values: bases(groupsOf("values", plan.values, context)),
  };
}
