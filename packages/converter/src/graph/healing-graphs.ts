import type { Linear } from "@kvfold/decoder";
import type { Emitter } from "@kvfold/decoder/graph";
import {
  type BlockWindow,
  emitAttended,
  emitAttentionInput,
  emitLinear,
  emitMlpActivations,
  emitMlpInput,
  type WindowGraph,
  windowContext,
  windowGraph,
} from "@kvfold/decoder/graph";
import type { ModelSource } from "@kvfold/runtime";
import type { CalibrationGraph } from "./calibration-graph.js";
import { HIDDEN_IN, HIDDEN_OUT, RESIDUAL_OUT } from "./calibration-graphs.js";
import { emitDecodedAttention, type HeadDirections, hasWideKeys } from "./emit-decoded-attention.js";
import { emitCross, emitMoments, emitRows, emitSum, emitTurnedRows } from "./emit-moments.js";

/** What the folded stream is refitted to: the original's stream at the same place, `[1, S, D]`. */
export const TARGET_IN = "target_in";
/** Outputs of the folded attention heads side by side, `[1, S, inputs of W_O]`. */
export const ATTENDED_IN = "attended_in";
export const ATTENDED_OUT = "attended_out";
/** What the MLP's last projection reads, `[1, S, I]`. */
export const ACTIVATIONS_IN = "activations_in";
export const ACTIVATIONS_OUT = "activations_out";

/** Names of the sums that a refit needs: moments of its inputs, cross moment with the target, sum of the target. */
export const REFIT = "inputs";
export const REFIT_CROSS = "cross";
export const REFIT_TARGET = "target.sum";

/** What the first projections of a half read: `hidden_in` of the folded stream against `target_in`, both normalised. */
export function attentionInputRefitGraph({ config, weights, length }: BlockWindow): CalibrationGraph {
  const width = config.shape.hiddenSize;
  const model = windowGraph(config, length, ({ e, input }) => {
    const [folded, original] = [HIDDEN_IN, TARGET_IN].map((name) =>
      emitAttentionInput(e.at(name), input(name), weights),
    );
    emitRegression(e, [folded!, width], [original!, width]);
  });
  return { model, ...regressionSums(width, width) };
}

/**
 * What refitting `W_O` needs: the folded attention runs on `hidden_in`, and its head outputs (`attended_out`) are set
 * against `target_in - hidden_in`, what attention should have added (docs/method.md, Healing). With `directions` the head
 * outputs are taken in these, and `W_O` of `weights` reads them so.
 */
export function attentionRefitGraph(window: BlockWindow, directions?: HeadDirections): CalibrationGraph {
  const { config, weights, length } = window;
  const width = weights.attention.output.inputs;
  const model = windowGraph(config, length, ({ e, input, output }) => {
    const x = input(HIDDEN_IN);
    const missing = e.node("Sub", "target/Sub", [input(TARGET_IN), x]);
    const normed = emitAttentionInput(e, x, weights);
    const attended = emitHeads(e.at("attn"), normed, window, directions);
    emitRegression(e, [attended, width], [missing, config.shape.hiddenSize]);
    output(ATTENDED_OUT, attended, width);
  });
  return { model, ...regressionSums(width, config.shape.hiddenSize) };
}

function emitHeads(e: Emitter, x: string, window: BlockWindow, directions?: HeadDirections): string {
  const { attention } = window.weights;
  if (hasWideKeys(attention) || directions !== undefined)
    return emitDecodedAttention(e, x, attention, windowContext(e, window, "plain"), directions);
  return emitAttended(e, x, attention, windowContext(e, window)).headOutputs;
}

/** Adds the refitted attention to the folded stream: `hidden_in` and `attended_in` to `residual_out`. */
export function residualGraph({ config, weights, length }: BlockWindow): ModelSource {
  return windowGraph(config, length, (graph) => {
    graph.output(RESIDUAL_OUT, emitResidual(graph, weights.attention.output));
  });
}

/** The same, and what the MLP's first projections read of it against the original's, `target_in` between the halves. */
export function residualRefitGraph({ config, weights, length }: BlockWindow): CalibrationGraph {
  const width = config.shape.hiddenSize;
  const model = windowGraph(config, length, (graph) => {
    const { e, input, output } = graph;
    const residual = emitResidual(graph, weights.attention.output);
    const folded = emitMlpInput(e.at("folded"), sequential(residual), weights);
    const original = emitMlpInput(e.at("original"), sequential(input(TARGET_IN)), weights);
    emitRegression(e, [folded, width], [original, width]);
    output(RESIDUAL_OUT, residual);
  });
  return { model, ...regressionSums(width, width) };
}

function emitResidual({ e, input }: WindowGraph, projection: Linear): string {
  const added = emitLinear(e, "o_proj", input(ATTENDED_IN, projection.inputs), projection);
  return e.node("Add", "residual/Add", [input(HIDDEN_IN), added]);
}

/**
 * The refit of the MLP's last projection: its inputs (`activations_out`) of the stream between the halves, `hidden_in`,
 * against what the MLP should add, `target_in - hidden_in` with the original's stream behind the block.
 */
export function mlpRefitGraph({ config, weights, length }: BlockWindow): CalibrationGraph {
  const { mlp } = weights;
  const width = mlp.down.inputs;
  const model = windowGraph(config, length, ({ e, input, output }) => {
    const residual = input(HIDDEN_IN);
    const missing = e.node("Sub", "target/Sub", [input(TARGET_IN), residual]);
    const normed = emitMlpInput(e, sequential(residual), weights);
    const activations = emitMlpActivations(e.at("mlp"), normed, mlp);
    emitRegression(e, [activations, width], [missing, config.shape.hiddenSize]);
    output(ACTIVATIONS_OUT, activations, width);
  });
  return { model, ...regressionSums(width, config.shape.hiddenSize) };
}

/** Adds the refitted MLP to the folded stream: `hidden_in` and `activations_in` to `hidden_out`. */
export function downGraph({ config, weights, length }: BlockWindow): ModelSource {
  const { down } = weights.mlp;
  return windowGraph(config, length, ({ e, input, output }) => {
    const added = emitLinear(e, "down_proj", input(ACTIVATIONS_IN, down.inputs), down);
    output(HIDDEN_OUT, e.node("Add", "residual/Add", [input(HIDDEN_IN), added]));
  });
}

const sequential = (residual: string) => ({ hidden: residual, residual });

/** The sums of `emitRegression`, for inputs and targets of these widths. */
const regressionSums = (inputs: number, outputs: number) => ({
  moments: [{ name: REFIT, size: inputs }],
  sums: [
    { name: REFIT_CROSS, size: inputs * outputs },
    { name: REFIT_TARGET, size: outputs },
  ],
});

/** Sums for least squares of `target` on `inputs`, each a value and its width. */
function emitRegression(
  e: Emitter,
  inputs: readonly [value: string, width: number],
  target: readonly [value: string, width: number],
): void {
  const from = emitTurnedRows(e.at(REFIT), ...inputs);
  const to = emitRows(e.at("target"), ...target);
  emitMoments(e.at(REFIT), REFIT, from);
  emitCross(e.at(REFIT_CROSS), REFIT_CROSS, from, to);
  emitSum(e.at("target"), REFIT_TARGET, to);
}
