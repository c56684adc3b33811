import type { StageMoments } from "@kvfold/calibration";
import type { AttentionWeights, Linear } from "@kvfold/decoder";
import { createMatrix, type Matrix, type Moments, secondMoment, sliceMoments } from "@kvfold/linalg";
import { ConverterError } from "../converter-error.js";
import type { Tap } from "../graph/taps.js";
import type { Group, Side } from "../methods/method.js";
import type { FoldPlan, Metric, SidePlan } from "../plan/fold-plan.js";
import type { ChunkRule } from "./chunks-of-pairs.js";
import { momentsByTap } from "./spread-moments.js";

/** What is known of one layer when its bases are chosen. */
export interface LayerContext {
  readonly layer: number;
  readonly seed: number;
  readonly attention: AttentionWeights;
  readonly moments: StageMoments;
  readonly outputBias: boolean;
  /** What errors are weighed by. */
  readonly metric?: Metric | undefined;
  /** Positions that moments of rotated keys are spread over. */
  readonly context?: number | undefined;
  /** For methods with a joint latent. */
  readonly chunks?: ChunkRule | undefined;
}

/** That of one layer of a model: what its plan says of it, with what was loaded and measured. */
export function layerContext(
  { seed, bias, chunk, context, metric, maxPositions }: FoldPlan,
  { layer, attention, moments }: Pick<LayerContext, "layer" | "attention" | "moments">,
): LayerContext {
  return {
    layer,
    attention,
    moments,
    seed,
    outputBias: bias === "free",
    metric,
    context,
    chunks: chunk === undefined ? undefined : { chunk, maxPositions },
  };
}

/** The groups of one side of a layer, in head order, as methods see them. */
export function groupsOf(side: Side, plan: SidePlan, context: LayerContext): readonly Group[] {
  const { attention, layer, seed, outputBias, metric } = context;
  const { headDim, rope } = attention;
  const measured = measuredBy(context);
  const width = plan.span * headDim;
  const projection = side === "keys" ? attention.key : attention.value;
  const gradients = (index: number) => {
    const all = measured("gradients");
    const start = (side === "keys" ? 0 : all.width / 2) + index * width;
    return secondMoment(sliceMoments(all, start, start + width));
  };
  return Array.from({ length: plan.heads }, (_, index) => ({
    side,
    layer,
    index,
    seed,
    rotaryDim: rope?.rotaryDim ?? 0,
    headDim,
    span: plan.span,
    rank: plan.rank,
    weights: () => columns(projection, index * width, (index + 1) * width),
    moments: () => sliceMoments(measured(side), index * width, (index + 1) * width),
    measured,
    readers: readersOf(attention, index * plan.span, plan.span),
    outputWeights: (head) => outputRows(attention, head),
    lossMetric: metric === "loss" ? () => gradients(index) : undefined,
    outputBias,
  }));
}

/** The moments of the layer's taps, as methods see them. */
const measuredBy = ({ attention, moments, context }: LayerContext): ((tap: Tap) => Moments) =>
  momentsByTap(moments, momentsOf, context === undefined ? undefined : { attention, context });

/** The query heads that read each of `count` KV heads from `first` on: neighbours, as in GQA. */
export function readersOf(
  { heads, keys }: AttentionWeights,
  first: number,
  count: number,
): readonly (readonly number[])[] {
  const readers = heads / keys.heads;
  return Array.from({ length: count }, (_, index) =>
    Array.from({ length: readers }, (_, reader) => (first + index) * readers + reader),
  );
}

/** `W_O,h [d, D]` in float64. */
export function outputRows({ headDim, output }: AttentionWeights, head: number): Matrix {
  const size = headDim * output.outputs;
  return createMatrix(
    headDim,
    output.outputs,
    Float64Array.from(output.weight.subarray(head * size, (head + 1) * size)),
  );
}

export function momentsOf(moments: StageMoments, name: string): Moments {
  const found = moments[name];
  if (found !== undefined) return found;
  throw new ConverterError(
    "insufficient-data",
    `moments of ${name} were not measured; calibrate with this method's taps`,
  );
}

/** Columns `[start, end)` of a projection, `[D, end - start]` in float64. */
export function columns({ inputs, outputs, weight }: Linear, start: number, end: number): Matrix {
  const data = new Float64Array(inputs * (end - start));
  for (let row = 0; row < inputs; row++) {
    data.set(weight.subarray(row * outputs + start, row * outputs + end), row * (end - start));
  }
  return createMatrix(inputs, end - start, data);
}
