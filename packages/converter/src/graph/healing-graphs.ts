import type { BlockWeights } from "@kvfold/decoder";
import type { Emitter } from "@kvfold/decoder/graph";
import {
  type BlockWindow,
  emitAttended,
  emitAttentionInput,
  emitLinear,
  emitMlpActivations,
  emitMlpInput,
  emitSum,
  HIDDEN_IN,
  HIDDEN_OUT,
  type WindowGraph,
  windowContext,
  windowGraph,
} from "@kvfold/decoder/graph";
import type { ModelSource } from "@kvfold/runtime";
import type { CalibrationGraph } from "./calibration-graph.js";
import { mlpStreams, RESIDUAL_OUT } from "./calibration-graphs.js";
import { emitDecodedAttention, type HeadDirections, hasWideKeys } from "./emit-decoded-attention.js";
import {
  emitProjectionRegression,
  emitRegression,
  type ProjectionFit,
  projectionSums,
  regressionSums,
} from "./regression.js";

/** What the folded stream is refitted to: the original's stream at the same place, `[1, S, D]`. */
export const TARGET_IN = "target_in";
/** Outputs of the folded attention heads side by side, `[1, S, inputs of W_O]`. */
export const ATTENDED_IN = "attended_in";
export const ATTENDED_OUT = "attended_out";
/** What the MLP's last projection reads, `[1, S, I]`. */
export const ACTIVATIONS_IN = "activations_in";
export const ACTIVATIONS_OUT = "activations_out";

/** What the first projections of attention read: `hidden_in` of the folded stream against `target_in` of the original's. */
export const attentionInputRefitGraph = (window: BlockWindow): CalibrationGraph =>
  inputRefitGraph(window, emitAttentionInput);

/** The same for the MLP of a parallel block, which also reads the stream before the block. */
export const mlpInputRefitGraph = (window: BlockWindow): CalibrationGraph =>
  inputRefitGraph(window, (e, hidden, weights) => emitMlpInput(e, { hidden, residual: hidden }, weights));

function inputRefitGraph(
  { config, weights, length }: BlockWindow,
  emitInput: (e: Emitter, x: string, weights: BlockWeights) => string,
): CalibrationGraph {
  const width = config.shape.hiddenSize;
  const model = windowGraph(config, length, ({ e, input }) => {
    const [folded, original] = [HIDDEN_IN, TARGET_IN].map((name) =>
      emitInput(e.at(name), input(name), weights),
    );
    emitRegression(e, [folded!, width], [original!, width]);
  });
  return { model, ...regressionSums(width, width) };
}

/** How `W_O` is refitted. */
export interface OutputFit extends ProjectionFit {
  /** The directions that the head outputs are taken in, and that `W_O` then reads; the folded width without them. */
  readonly directions?: HeadDirections | undefined;
}

/**
 * What refitting `W_O` needs: the folded attention runs on `hidden_in`, and its head outputs (`attended_out`) are set
 * against `target_in - hidden_in`, what attention should have added (docs/method.md, Healing).
 */
export function attentionRefitGraph(
  window: BlockWindow,
  { directions, ...fit }: OutputFit,
): CalibrationGraph {
  const { config, weights, length } = window;
  const { attention, attentionNorms } = weights;
  const last = { ...fit, linear: attention.output, norm: attentionNorms.output };
  const model = windowGraph(config, length, ({ e, input, output }) => {
    const x = input(HIDDEN_IN);
    const missing = e.node("Sub", "target/Sub", [input(TARGET_IN), x]);
    const normed = emitAttentionInput(e, x, weights);
    const attended = emitHeads(e.at("attn"), normed, window, directions);
    emitProjectionRegression(e, { inputs: attended, missing }, last);
    output(ATTENDED_OUT, attended, attention.output.inputs);
  });
  return { model, ...projectionSums(last) };
}

function emitHeads(e: Emitter, x: string, window: BlockWindow, directions?: HeadDirections): string {
  const { attention } = window.weights;
  const context = windowContext(e, window);
  if (hasWideKeys(attention) || directions !== undefined)
    return emitDecodedAttention(e, x, attention, context, directions);
  return emitAttended(e, x, attention, context).headOutputs;
}

/** Adds the refitted attention to the folded stream: `hidden_in` and `attended_in` to `residual_out`. */
export function residualGraph({ config, weights, length }: BlockWindow): ModelSource {
  return windowGraph(config, length, (graph) => {
    graph.output(RESIDUAL_OUT, emitResidual(graph, weights));
  });
}

/**
 * The same, and what the first projections of a sequential block's MLP read of it against what the original's read of
 * `target_in`, its stream between the halves.
 */
export function residualRefitGraph({ config, weights, length }: BlockWindow): CalibrationGraph {
  const width = config.shape.hiddenSize;
  const model = windowGraph(config, length, (graph) => {
    const { e, input, output } = graph;
    const residual = emitResidual(graph, weights);
    const folded = emitMlpInput(e.at("folded"), sequential(residual), weights);
    const original = emitMlpInput(e.at("original"), sequential(input(TARGET_IN)), weights);
    emitRegression(e, [folded, width], [original, width]);
    output(RESIDUAL_OUT, residual);
  });
  return { model, ...regressionSums(width, width) };
}

function emitResidual({ e, input }: WindowGraph, { attention, attentionNorms }: BlockWeights): string {
  const projection = attention.output;
  const added = emitLinear(e, "o_proj", input(ATTENDED_IN, projection.inputs), projection);
  return emitSum(e, "attn", input(HIDDEN_IN), added, attentionNorms);
}

const sequential = (residual: string) => ({ hidden: residual, residual });

/**
 * The refit of the MLP's last projection: its inputs (`activations_out`), of the streams that the MLP half starts from,
 * against what the MLP should add, `target_in - hidden_in` with the original's stream after the block.
 */
export function mlpRefitGraph(window: BlockWindow, fit: ProjectionFit): CalibrationGraph {
  const { config, weights, length } = window;
  const { mlp, mlpNorms } = weights;
  const last = { ...fit, linear: mlp.down, norm: mlpNorms.output };
  const model = windowGraph(config, length, (graph) => {
    const { e, input, output } = graph;
    const streams = mlpStreams(graph, weights);
    const missing = e.node("Sub", "target/Sub", [input(TARGET_IN), streams.residual]);
    const activations = emitMlpActivations(e.at("mlp"), emitMlpInput(e, streams, weights), mlp);
    emitProjectionRegression(e, { inputs: activations, missing }, last);
    output(ACTIVATIONS_OUT, activations, mlp.down.inputs);
  });
  return { model, ...projectionSums(last) };
}

/** Adds the refitted MLP to the folded stream: `hidden_in` and `activations_in` to `hidden_out`. */
export function downGraph({ config, weights, length }: BlockWindow): ModelSource {
  const { mlp, mlpNorms } = weights;
  return windowGraph(config, length, ({ e, input, output }) => {
    const added = emitLinear(e, "down_proj", input(ACTIVATIONS_IN, mlp.down.inputs), mlp.down);
    output(HIDDEN_OUT, emitSum(e, "mlp", input(HIDDEN_IN), added, mlpNorms));
  });
}
