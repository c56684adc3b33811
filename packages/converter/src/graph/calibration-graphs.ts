import { createGraphBuilder, type GraphBuilder, memoryWeights } from "@kvfold/onnx";
import type { ModelSource } from "@kvfold/runtime";
import type { ModelConfig } from "../checkpoint/read-config.js";
import type { BlockWeights, EmbeddingWeights } from "../model/decoder-weights.js";
import { positionEncoding } from "../model/position-encoding.js";
import type { AttentionContext } from "./attention-values.js";
import { emitProjections } from "./emit-attention.js";
import { emitAttentionHalf, emitAttentionInput, emitBlock, emitMlpHalf } from "./emit-block.js";
import { emitEmbedding } from "./emit-embedding.js";
import { emitColumnMoments, emitCross, emitMoments, emitRows } from "./emit-moments.js";
import { emitSensitivity } from "./emit-sensitivity.js";
import { createEmitter, type Emitter, OPSETS } from "./emitter.js";
import type { AttentionKind } from "./positions.js";
import { emitStaticPositions } from "./static-positions.js";
import { attentionKind } from "./stored-cache.js";
import { type AttentionTap, type ProjectionTap, tapWidth } from "./taps.js";

/** Names of the inputs and outputs of calibration graphs, hidden states `[1, S, D]` each. */
export const HIDDEN_IN = "hidden_in";
export const TARGET_IN = "target_in";
export const HIDDEN_OUT = "hidden_out";
export const RESIDUAL_OUT = "residual_out";

/** Token ids to hidden states, for windows of `length` tokens: int64 `input_ids [1, S]` to `hidden_out`. */
export function embeddingGraph(
  config: ModelConfig,
  embedding: EmbeddingWeights,
  length: number,
): ModelSource {
  return calibrationGraph(config, length, (e, output) => {
    const ids = e.graph.input("input_ids", "int64", [1, length]);
    output(HIDDEN_OUT, emitEmbedding(e.at("model"), ids, embedding, config).hidden);
  });
}

/** A block and the windows it runs over. */
export interface BlockWindow {
  readonly config: ModelConfig;
  readonly weights: BlockWeights;
  /** Tokens of a window. */
  readonly length: number;
}

/**
 * One block over one window: `hidden_in` to the wanted `outputs` (`hidden_out` behind the block, `residual_out`
 * between its halves), and for each tap of width W the sums `<tap>.gram [W, W]` and `<tap>.sum [W]` over the window's
 * tokens, in float32. Without outputs only what the taps need is run.
 */
export function blockGraph(
  window: BlockWindow,
  taps: readonly ProjectionTap[],
  outputs: readonly (typeof HIDDEN_OUT | typeof RESIDUAL_OUT)[],
): ModelSource {
  const { config, weights, length } = window;
  return calibrationGraph(config, length, (e, output, hidden) => {
    const x = hidden(HIDDEN_IN);
    const context = windowContext(e, window);
    const block = e.at("block");
    const values =
      outputs.length > 0
        ? emitBlock(block, x, weights, config, context)
        : {
            attention: emitProjections(
              block.at("attn"),
              emitAttentionInput(block, x, weights, config),
              weights.attention,
              context.positions,
            ),
          };
    for (const tap of taps) emitMoments(e.at(tap), tap, values.attention[tap], tapWidth(tap, config.shape));
    if ("output" in values && outputs.includes(HIDDEN_OUT)) output(HIDDEN_OUT, values.output);
    if ("output" in values && outputs.includes(RESIDUAL_OUT)) output(RESIDUAL_OUT, values.attentionResidual);
  });
}

/** The moments of an unfolded block's attention taps over one window: `hidden_in` to `<tap>.gram` and `<tap>.sum`. */
export function sensitivityGraph(window: BlockWindow, taps: readonly AttentionTap[]): ModelSource {
  const { config, weights, length } = window;
  return calibrationGraph(config, length, (e, _output, hidden) => {
    const { positions } = windowContext(e, window, "plain");
    const block = e.at("block");
    const input = emitAttentionInput(block, hidden(HIDDEN_IN), weights, config);
    const projections = emitProjections(block.at("attn"), input, weights.attention, positions);
    const values = emitSensitivity(e.at("sensitivity"), projections, weights.attention, positions.scoreBias!);
    for (const tap of taps) {
      const emit = tap === "attentionWeights" ? emitColumnMoments : emitMoments;
      emit(e.at(tap), tap, values[tap], tapWidth(tap, config.shape));
    }
  });
}

/** Names of the sums that a refit needs. */
export const REFIT = "inputs";
export const REFIT_CROSS = "cross";
export const REFIT_TARGET = "target.sum";

/**
 * What refitting `W_O` needs of one window: the folded attention runs on `hidden_in`, and its head outputs are set
 * against `target_in - hidden_in`, what attention should have added (docs/method.md, Healing).
 */
export function attentionRefitGraph(window: BlockWindow): ModelSource {
  const { config, weights, length } = window;
  return calibrationGraph(config, length, (e, _output, hidden) => {
    const x = hidden(HIDDEN_IN);
    const missing = e.node("Sub", "target/Sub", [hidden(TARGET_IN), x]);
    const { attention } = emitAttentionHalf(e.at("block"), x, weights, config, windowContext(e, window));
    emitRegression(e, attention.headOutputs, weights.attention.output.inputs, missing, config);
  });
}

/** The same for the MLP's last projection; also gives the stream between the halves, `residual_out`. */
export function mlpRefitGraph(window: BlockWindow): ModelSource {
  const { config, weights, length } = window;
  return calibrationGraph(config, length, (e, output, hidden) => {
    const block = e.at("block");
    const { attentionResidual } = emitAttentionHalf(
      block,
      hidden(HIDDEN_IN),
      weights,
      config,
      windowContext(e, window),
    );
    const missing = e.node("Sub", "target/Sub", [hidden(TARGET_IN), attentionResidual]);
    const { mlpActivations } = emitMlpHalf(block, attentionResidual, weights, config);
    emitRegression(e, mlpActivations, weights.mlp.down.inputs, missing, config);
    output(RESIDUAL_OUT, attentionResidual);
  });
}

/** The second half of a block: `hidden_in`, the stream between the halves, to `hidden_out`. */
export function mlpGraph({ config, weights, length }: BlockWindow): ModelSource {
  return calibrationGraph(config, length, (e, output, hidden) => {
    output(HIDDEN_OUT, emitMlpHalf(e.at("block"), hidden(HIDDEN_IN), weights, config).output);
  });
}

/** Sums for least squares of `target` on `inputs`: the inputs' moments, the cross moment and the target's sum. */
function emitRegression(
  e: Emitter,
  inputs: string,
  width: number,
  target: string,
  { shape }: ModelConfig,
): void {
  emitMoments(e.at(REFIT), REFIT, inputs, width);
  emitCross(e.at(REFIT_CROSS), REFIT_CROSS, [inputs, width], [target, shape.hiddenSize]);
  const sum = e.node(
    "ReduceSum",
    "target/ReduceSum",
    [emitRows(e.at("target"), target, shape.hiddenSize), e.graph.int64([0])],
    {
      attributes: { keepdims: 0 },
    },
  );
  e.graph.nodeWithOutputs("Identity", [sum], [REFIT_TARGET], { name: "/target/Identity" });
  e.graph.output(REFIT_TARGET, "float32", [shape.hiddenSize]);
}

function windowContext(
  e: Emitter,
  { config, weights, length }: BlockWindow,
  kind?: AttentionKind,
): AttentionContext {
  const { slidingWindow } = config.shape;
  const attention = kind ?? attentionKind(weights.attention, config.family.positions);
  const positions = emitStaticPositions(e, length, {
    ...positionEncoding(config, length),
    slidingWindow,
    attention,
  });
  return { positions, cache: undefined, slidingWindow };
}

function calibrationGraph(
  config: ModelConfig,
  length: number,
  emit: (e: Emitter, output: (name: string, value: string) => void, hidden: (name: string) => string) => void,
): ModelSource {
  const weights = memoryWeights();
  const graph: GraphBuilder = createGraphBuilder({ graphName: "calibration", opsets: OPSETS, weights });
  const dims = [1, length, config.shape.hiddenSize];
  const output = (name: string, value: string) => {
    graph.nodeWithOutputs("Identity", [value], [name], { name: `/${name}/Identity` });
    graph.output(name, "float32", dims);
  };
  emit(createEmitter(graph, "float32"), output, (name) => graph.input(name, "float32", dims));
  return { bytes: graph.toBytes(), externalData: weights.externalData };
}
