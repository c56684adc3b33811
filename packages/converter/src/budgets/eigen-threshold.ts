import { type Matrix, secondMoment, sliceMoments } from "@kvfold/linalg";
import { groupsOf } from "../fold/group.js";
import type { Tap } from "../graph/taps.js";
import type { Group, Method, Side } from "../methods/method.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import type { TextBudget, TextBudgetContext } from "./budget.js";
import { type Ladder, type Rung, unitsUnderErrorBudget } from "./error-budget.js";
import { type OriginalLayer, originalLayers } from "./original-layers.js";
import { createOutputError } from "./output-error.js";
import type { RankGrid } from "./rank-grid.js";
import { type LayerSpectra, spectrumOf, thresholdRanks } from "./threshold-ranks.js";

/** How far the threshold falls from one rung to the next. */
const STEP = 0.02;
/** Share of a layer that Eigen Attention always keeps: that of its models with RoPE, here for all. */
const FLOOR = 0.45;
/** What no layer falls below where the total does not allow that floor, as a share of the uniform rank. */
const LOW_FLOOR = 1 / 4;

/** Eigen Attention's: each layer keeps what holds the error of its own output to a budget, the same for all. */
export const eigenThreshold: TextBudget = {
  name: "eigen-threshold",
  summary: "ranks by a threshold on the spectrum that holds each layer's own output error to one budget",
  reference: "arXiv 2408.05646",
  needsText: true,
  async allocate(context) {
    const { plan, grid, method } = context;
    const keyTap = method.keysBeforeRope || method.joint ? "keysBeforeRope" : "keys";
    const ladders: Ladder[] = [];
    for await (const layer of originalLayers(context, [keyTap, "values"])) {
      const spectra = layerSpectra(method, plan, layer, keyTap);
      const unitsFor = (threshold: number) => grid.unitsFor(thresholdRanks(spectra, threshold));
      ladders.push(await measureLadder(context, layer, thresholdUnits(unitsFor, grid)));
    }
    return unitsUnderErrorBudget(ladders, grid).map(grid.layer);
  },
};

/** The spectra that the method itself cuts, or else those of each group's activations as the method caches them. */
function layerSpectra(
  { spectra }: Method,
  { layers }: FoldPlan,
  layer: OriginalLayer,
  keyTap: Tap,
): LayerSpectra {
  const ofSide = (side: Side, tap: Tap) => {
    const groups = groupsOf(side, layers[layer.layer]![side], layer);
    return (spectra?.(groups) ?? groups.map((group) => groupMoment(group, tap))).map(spectrumOf);
  };
  return { keys: ofSide("keys", keyTap), values: ofSide("values", "values") };
}

const groupMoment = ({ index, span, headDim, measured }: Group, tap: Tap): Matrix =>
  secondMoment(sliceMoments(measured(tap), index * span * headDim, (index + 1) * span * headDim));

/** The units that thresholds from 1 down ask for, descending, without doubles, to the floor and no further. */
export function thresholdUnits(
  unitsFor: (threshold: number) => number,
  { full, uniform }: Pick<RankGrid, "full" | "uniform">,
): readonly number[] {
  const floor = FLOOR * full <= uniform ? Math.ceil(FLOOR * full) : Math.ceil(LOW_FLOOR * uniform);
  const units = Array.from({ length: Math.round(1 / STEP) + 1 }, (_, step) =>
    Math.max(floor, unitsFor(1 - step * STEP)),
  );
  return [...new Set(units)];
}

async function measureLadder(
  context: TextBudgetContext,
  layer: OriginalLayer,
  units: readonly number[],
): Promise<Ladder> {
  const { grid } = context;
  const errorOf = await createOutputError(context, layer);
  const rungs: Rung[] = [{ units: grid.full, error: 0 }];
  for (const count of units) {
    if (count < grid.full)
      rungs.push({ units: count, error: await errorOf(await layer.fold(grid.layer(count))) });
  }
  return rungs;
}
