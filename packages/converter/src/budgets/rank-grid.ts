import type { ModelShape } from "@kvfold/decoder";
import type { FoldPlan, LayerPlan, SidePlan } from "../plan/fold-plan.js";
import { greatestDivisor } from "../plan/greatest-divisor.js";

/** The ranks that layers may have: whole units, each the same number of cached numbers in every layer. */
export interface RankGrid {
  readonly layers: number;
  /** Units of a layer whose keys and values are kept whole (or nearly, where that rank is no multiple of a unit). */
  readonly full: number;
  /** Units of a uniform layer. */
  readonly uniform: number;
  /** Units of all layers together, which no allocation may exceed: `layers * uniform`. */
  readonly total: number;
  /** A layer of `units`, 1 to `full`. */
  readonly layer: (units: number) => LayerPlan;
  /** The fewest units whose folded heads are as wide as these numbers, `full` at most. */
  readonly unitsFor: (ranks: { readonly keys: number; readonly values: number }) => number;
}

/** GroupQueryAttention wants heads of a multiple of eight numbers; see graph/stored-cache.ts. */
const FUSED_MULTIPLE = 8;
/** A rotated code takes a pair of numbers, so an even rank stays even. */
const PAIR = 2;

/**
 * The grid around a uniform plan. Keys and values of a layer keep the same share of their numbers, so that folded
 * heads of one span stay of one size, and a wide latent can be stored as several narrow heads. With spans `s_K`, `s_V`
 * and `g` their greatest common divisor, ranks are `s_K / g * n` and `s_V / g * n`, `n` up to `g * d` and a multiple of
 * 8 under fused attention, of 2 where the uniform `n` is even.
 */
export function rankGrid({ layers, attention }: FoldPlan, { headDim }: ModelShape): RankGrid {
  const { keys, values } = layers[0]!;
  const shared = greatestDivisor(keys.span, values.span);
  const uniformRank = keys.rank / (keys.span / shared);
  const multiple = multipleOf(attention, uniformRank);
  const step = (side: SidePlan) => multiple * (side.span / shared);
  const full = Math.floor((shared * headDim) / multiple);
  const uniform = uniformRank / multiple;
  return {
    layers: layers.length,
    full,
    uniform,
    total: layers.length * uniform,
    layer: (units) => ({
      keys: { ...keys, rank: units * step(keys) },
      values: { ...values, rank: units * step(values) },
    }),
    unitsFor: (ranks) => {
      const wanted = Math.max(ranks.keys / step(keys), ranks.values / step(values));
      return Math.min(full, Math.max(1, Math.ceil(wanted)));
    },
  };
}

/** Numbers of a folded head that ranks are multiples of. */
export function multipleOf(attention: FoldPlan["attention"], uniformRank: number): number {
  if (attention === "group-query") return FUSED_MULTIPLE;
  return uniformRank % PAIR === 0 ? PAIR : 1;
}
