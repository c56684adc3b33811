import type { StageResult } from "@kvfold/calibration";
import type { Linear, NormWeights } from "@kvfold/decoder";
import { aimScales } from "../graph/norm-aim.js";
import type { BiasPolicy, FoldPlan } from "../plan/fold-plan.js";
import type { BlockMath } from "./block-math.js";

/** Whether the refit of a projection may find an offset: where it has a bias already, or may get one. */
export const mayShift = ({ bias }: Linear, policy: BiasPolicy): boolean =>
  policy === "free" || bias !== undefined;

interface LastFit {
  readonly sums: StageResult;
  readonly plan: Pick<FoldPlan, "bias">;
  readonly math: BlockMath;
}

/**
 * Refits the last projection of a half, `W_O` or the MLP's, with the sums of its regression (graph/regression.ts). Where a
 * norm follows, the offset is the last of the inputs, and outputs that the norm all but removes stay as they are.
 */
export async function refitLast(
  linear: Linear,
  norm: NormWeights | undefined,
  { sums, plan, math }: LastFit,
): Promise<Linear> {
  const hasOffset = mayShift(linear, plan.bias);
  if (norm === undefined) return math.run("refitLinear", { linear, sums, bias: hasOffset ? "free" : "none" });
  const fitted = hasOffset ? offsetAsInput(linear) : linear;
  const refitted = await math.run("refitLinear", { linear: fitted, sums, bias: "none" });
  const kept = keepOutputs(refitted, fitted, aimScales(norm));
  return hasOffset ? offsetAsBias(kept) : kept;
}

/** `y = x W + b` as a map of `[x, 1]` without a bias: `b` is the last row of the weight. */
function offsetAsInput({ inputs, outputs, weight, bias }: Linear): Linear {
  const rows = new Float32Array((inputs + 1) * outputs);
  rows.set(weight);
  if (bias !== undefined) rows.set(bias, inputs * outputs);
  return { inputs: inputs + 1, outputs, weight: rows, bias: undefined };
}

/** The inverse of `offsetAsInput`. */
function offsetAsBias({ inputs, outputs, weight }: Linear): Linear {
  const split = (inputs - 1) * outputs;
  return { inputs: inputs - 1, outputs, weight: weight.slice(0, split), bias: weight.slice(split) };
}

/** `refitted`, with the columns of `present` for outputs whose scale is 0. */
function keepOutputs(refitted: Linear, present: Linear, scales: Float32Array): Linear {
  const weight = refitted.weight.map((value, index) =>
    scales[index % scales.length] === 0 ? present.weight[index]! : value,
  );
  return { ...refitted, weight };
}
