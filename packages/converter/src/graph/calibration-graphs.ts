import type { AttentionWeights, BlockWeights, ModelConfig } from "@kvfold/decoder";
import type { BlockStreams, Emitter, ProjectionValues, WindowGraph } from "@kvfold/decoder/graph";
import {
  type BlockWindow,
  emitAttentionHalf,
  emitAttentionInput,
  emitHeadNorm,
  emitMlpHalf,
  emitProjections,
  emitSplitHeads,
  HIDDEN_IN,
  HIDDEN_OUT,
  windowContext,
  windowGraph,
} from "@kvfold/decoder/graph";
import type { ModelSource } from "@kvfold/runtime";
import type { CalibrationGraph } from "./calibration-graph.js";
import { emitDistances } from "./emit-distances.js";
import { emitColumnMoments, emitDiagonalMoments, emitMoments, emitTurnedRows } from "./emit-moments.js";
import { emitQueriesAtKeys } from "./emit-queries-at-keys.js";
import { emitSensitivity, type SensitivityValues } from "./emit-sensitivity.js";
import { type AttentionTap, type ProjectionTap, type Tap, tapSizes, tapWidth } from "./taps.js";

/**
 * Names of further inputs and outputs of calibration graphs, hidden states `[1, S, D]` like `HIDDEN_IN` and `HIDDEN_OUT`.
 * `block_in` is the stream before the block: an input of graphs that begin between the halves of a parallel block, and of
 * no others.
 */
export const BLOCK_IN = "block_in";
export const RESIDUAL_OUT = "residual_out";

/** Outputs of a block: the stream after it, and the one between its halves. */
export type BlockOutput = typeof HIDDEN_OUT | typeof RESIDUAL_OUT;

/**
 * One block over one window: `hidden_in` to the wanted `outputs` (`hidden_out` after the block, `residual_out`
 * between its halves), and for each tap the sums `<tap>.gram` and `<tap>.sum` over the window's tokens, about
 * `<tap>.shift` (emit-moments.ts). What neither outputs nor taps need is not run.
 */
export function blockGraph(
  window: BlockWindow,
  taps: readonly ProjectionTap[],
  outputs: readonly BlockOutput[],
): ModelSource {
  const { config, weights, length } = window;
  return windowGraph(config, length, ({ e, input, output }) => {
    const x = input(HIDDEN_IN);
    const context = windowContext(e, window);
    const block = e.at("block");
    const measure = (values: ProjectionValues) => {
      for (const tap of taps) emitTapMoments(e, tap, emitTapped(e.at(tap), tap, values), config);
    };
    if (outputs.length === 0) {
      const normed = emitAttentionInput(block, x, weights);
      measure(emitProjections(block.at("attn"), normed, weights.attention, context.positions));
      return;
    }
    const { attention, attentionResidual } = emitAttentionHalf(block, x, weights, context);
    measure(attention);
    if (outputs.includes(RESIDUAL_OUT)) output(RESIDUAL_OUT, attentionResidual);
    if (outputs.includes(HIDDEN_OUT))
      output(HIDDEN_OUT, emitMlpHalf(block, { hidden: x, residual: attentionResidual }, weights));
  });
}

/** The same graph with the moments that it sums. */
export const measuredBlockGraph = (
  window: BlockWindow,
  taps: readonly ProjectionTap[],
  outputs: readonly BlockOutput[],
): CalibrationGraph => ({
  model: blockGraph(window, taps, outputs),
  moments: tapSizes(taps, window.config.shape),
});

/** The second half of a block: `hidden_in`, the stream between the halves, to `hidden_out`. */
export function mlpGraph({ config, weights, length }: BlockWindow): ModelSource {
  return windowGraph(config, length, (graph) => {
    const streams = mlpStreams(graph, weights);
    graph.output(HIDDEN_OUT, emitMlpHalf(graph.e.at("block"), streams, weights));
  });
}

/** Declares what the second half of a block starts from: `hidden_in`, and `block_in` for the MLP of a parallel block. */
export function mlpStreams({ input }: WindowGraph, { arrangement }: BlockWeights): BlockStreams {
  const residual = input(HIDDEN_IN);
  return { residual, hidden: arrangement === "parallel" ? input(BLOCK_IN) : residual };
}

/** The moments of an unfolded block's attention taps over one window: `hidden_in` to `<tap>.gram` and `<tap>.sum`. */
export function sensitivityGraph(window: BlockWindow, taps: readonly AttentionTap[]): CalibrationGraph {
  const { config, weights, length } = window;
  const model = windowGraph(config, length, ({ e, input }) => {
    const { positions, queryBlocks } = windowContext(e, window);
    const block = e.at("block");
    const normed = emitAttentionInput(block, input(HIDDEN_IN), weights);
    const projections = emitProjections(block.at("attn"), normed, weights.attention, positions);
    const sensitivity = emitSensitivity(e.at("sensitivity"), projections, weights.attention, {
      scoreBias: positions.scoreBias(weights.attention),
      queryBlocks,
    });
    for (const tap of taps) emitAttentionTap(e, tap, { projections, sensitivity, queryBlocks }, window);
  });
  return { model, moments: tapSizes(taps, config.shape) };
}

/** The rows of a tap, `[1, S, width]`. */
function emitTapped(e: Emitter, tap: ProjectionTap, values: ProjectionValues): string {
  if (tap !== "keysAndValues") return values[tap];
  return e.node("Concat", "joined/Concat", [values.keysBeforeRope, values.values], {
    attributes: { axis: -1 },
  });
}

interface MeasuredAttention extends Pick<emitDistances.Options, "queryBlocks"> {
  readonly projections: ProjectionValues;
  readonly sensitivity: SensitivityValues;
}

function emitAttentionTap(
  e: Emitter,
  tap: AttentionTap,
  measured: MeasuredAttention,
  window: BlockWindow,
): void {
  const { heads, headDim } = window.weights.attention;
  const { sensitiveQueries, attentionWeights } = measured.sensitivity;
  if (tap === "sensitiveQueries") emitTapMoments(e, tap, sensitiveQueries, window.config);
  else if (tap === "attentionWeights") emitColumnMoments(e.at(tap), tap, attentionWeights, heads);
  else
    emitDiagonalMoments(e.at(tap), tap, emitMeetings(e.at(tap), measured, window), { heads, size: headDim });
}

/** What is measured as `queriesAtKeys`. */
function emitMeetings(
  e: Emitter,
  { projections, sensitivity, queryBlocks }: MeasuredAttention,
  { weights: { attention }, length }: BlockWindow,
): string {
  const { heads, headDim } = attention;
  const shape = { heads, size: headDim };
  const queries = emitNormed(e.at("normed"), projections.queriesBeforeRope, attention);
  const meetings = {
    queries: emitSplitHeads(e.at("queries"), queries, shape),
    weights: sensitivity.queryWeights,
    distances: emitDistances(e.at("distances"), sensitivity.pairWeights, { heads, length, queryBlocks }),
  };
  return emitQueriesAtKeys(e, meetings, attention, length);
}

/** Queries with the norm that follows their rotation, as if it came before: it does not depend on the angle but for its weight. */
function emitNormed(e: Emitter, queries: string, attention: AttentionWeights): string {
  const { headNorm, queryNorm, heads, headDim } = attention;
  if (headNorm !== "after-rotation" || queryNorm === undefined) return queries;
  return emitHeadNorm(e, queries, queryNorm, { heads, size: headDim });
}

/** `<tap>.gram` and `<tap>.sum` of a value whose rows are tokens. */
function emitTapMoments(root: Emitter, tap: Tap, value: string, { shape }: ModelConfig): void {
  const e = root.at(tap);
  emitMoments(e, tap, emitTurnedRows(e, tap, value, tapWidth(tap, shape)));
}
