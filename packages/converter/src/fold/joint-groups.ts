import type { AttentionWeights } from "@kvfold/decoder";
import { type Moments, secondMoment, sliceMoments, trace } from "@kvfold/linalg";
import { ropeFrequencies } from "@kvfold/rope";
import type { Tap } from "../graph/taps.js";
import type { JointGroup } from "../methods/method.js";
import type { LayerPlan } from "../plan/fold-plan.js";
import { type LayerContext, momentsOf, outputRows, readersOf } from "./group.js";
import { turnedByRope } from "./turned-by-rope.js";

/** The groups of a layer whose keys and values share latents, in head order, as methods see them. */
export function jointGroupsOf(
  { keys: { span, heads, rank } }: LayerPlan,
  context: LayerContext,
  chunks: readonly number[],
): readonly JointGroup[] {
  const { attention, layer, moments, metric } = context;
  const { headDim, rope } = attention;
  const measured: JointGroup["measured"] = (tap) => momentsOf(moments, tap);
  return Array.from({ length: heads }, (_, index) => {
    const own = (tap: Tap) => groupMoments(measured(tap), index * span * headDim, span * headDim);
    const early = () => own("keysAndValues");
    const lossMetric = () => secondMoment(turnedMoments(own("gradientsBeforeRope"), attention, span, chunks));
    return {
      layer,
      index,
      span,
      headDim,
      rank: 2 * rank,
      rotaryDim: rope?.rotaryDim ?? 0,
      moments: () => turnedMoments(early(), attention, span, chunks),
      turned: (head) => turnedMoments(head, attention, 1, chunks),
      measured,
      lossMetric: metric === "loss" ? lossMetric : undefined,
      readers: readersOf(attention, index * span, span),
      outputWeights: (head) => outputRows(attention, head),
      mayCentre: centredColumns(context, span),
      keyGains: keyGains(attention),
      normGains: normGains(attention, index * span, span, early),
    };
  });
}

/** Those of the keys and values of one group alone. */
export function groupMoments(all: Moments, start: number, size: number): Moments {
  const half = all.width / 2;
  const columns = Array.from({ length: 2 * size }, (_, index) =>
    index < size ? start + index : half + start + index - size,
  );
  return {
    width: columns.length,
    count: all.count,
    sum: Float64Array.from(columns, (column) => all.sum[column]!),
    gram: Float64Array.from({ length: columns.length ** 2 }, (_, at) => {
      const [row, col] = [Math.floor(at / columns.length), at % columns.length];
      return all.gram[columns[row]! * all.width + columns[col]!]!;
    }),
  };
}

/** Those of a group as its chunks turn the keys. */
export function turnedMoments(
  early: Moments,
  attention: Pick<AttentionWeights, "rope" | "headDim">,
  span: number,
  chunks: readonly number[],
): Moments {
  const { rope } = attention;
  if (rope === undefined || chunks.every((chunk) => chunk === 1)) return early;
  return turnedByRope(early, attention, span, ropeFrequencies(rope), chunks);
}

/**
 * Softmax ignores what is added to all scores of a query, such as the mean of what does not turn of a key, unless something
 * stands between; attention weights sum to one, so the mean value comes back as a bias.
 */
function centredColumns({ attention, outputBias }: LayerContext, span: number): readonly boolean[] {
  const { headDim, rope, softCap, headNorm } = attention;
  const rotaryDim = rope?.rotaryDim ?? 0;
  const isFree = softCap === undefined && headNorm !== "after-rotation";
  const size = span * headDim;
  return Array.from({ length: 2 * size }, (_, column) =>
    column < size ? isFree && column % headDim >= rotaryDim : outputBias,
  );
}

/** Scaling of scores, with that of both rotations where a number turns. */
function keyGains({ headDim, rope, scale }: AttentionWeights): Float64Array {
  const turning = rope === undefined ? 1 : ropeFrequencies(rope).attentionScaling ** 2;
  return Float64Array.from({ length: headDim }, (_, index) =>
    index < (rope?.rotaryDim ?? 0) ? scale * turning : scale,
  );
}

/** `g / rho` for each number of the group's keys: weights of the norm after the rotation over the root of the mean square. */
function normGains(
  { headNorm, keyNorm, headDim }: AttentionWeights,
  first: number,
  span: number,
  early: () => Moments,
): Float64Array | undefined {
  if (headNorm !== "after-rotation" || keyNorm === undefined) return undefined;
  const { weight, epsilon } = keyNorm;
  const moments = early();
  const roots = Array.from({ length: span }, (_, head) => {
    const own = secondMoment(sliceMoments(moments, head * headDim, (head + 1) * headDim));
    return Math.sqrt(trace(own) / headDim + epsilon);
  });
  return Float64Array.from(
    { length: span * headDim },
    (_, index) => weight[(first * headDim + index) % weight.length]! / roots[Math.floor(index / headDim)]!,
  );
}
