import { forwardAndBackward } from "@kvfold/autodiff";
import type { EmbeddingWeights, ModelConfig } from "@kvfold/decoder";
import {
  type BlockWindow,
  emitAttentionHalf,
  emitEmbedding,
  emitMlpHalf,
  emitStaticPositions,
  windowContext,
  windowGraph,
} from "@kvfold/decoder/graph";
import type { ModelSource } from "@kvfold/runtime";
import { adaptedScope } from "./adapted-scope.js";
import { type Adapter, parametersOf } from "./adapters.js";

/** Names of the hidden states that a block reads and writes, `[1, S, D]`. */
export const HIDDEN_IN = "hidden_in";
export const HIDDEN_OUT = "hidden_out";
/** Before the name of a value: its gradient. */
export const GRADIENT = "grad.";

/** A model whose bytes are in memory. */
export type MemoryModel = Extract<ModelSource, { readonly bytes: Uint8Array }>;

/** int64 `input_ids [1, S]` to the hidden states before the first block. The table may have any number of rows. */
export function embeddingGraph(
  config: ModelConfig,
  embedding: EmbeddingWeights,
  length: number,
): MemoryModel {
  const shape = { ...config.shape, vocabSize: embedding.table.length / config.embedding.width };
  return windowGraph(config, length, ({ e, output }) => {
    const ids = e.graph.input("input_ids", "int64", [1, length]);
    const positions = emitStaticPositions(e, length);
    output(HIDDEN_OUT, emitEmbedding(e.at("model"), ids, embedding, shape, positions).hidden);
  }) as MemoryModel;
}

/** A block with adapters: `hidden_in` and the adapters' parameters to `hidden_out`. */
export function forwardGraph(window: BlockWindow, adapters: readonly Adapter[] = [], scale = 1): MemoryModel {
  const { config, weights, length } = window;
  return windowGraph(config, length, ({ e, input, output }) => {
    const hidden = input(HIDDEN_IN);
    for (const { name, dims } of parametersOf(adapters)) e.graph.input(name, "float32", dims);
    const context = windowContext(e, window);
    const block = e.into(adaptedScope(e.graph, adapters, scale));
    const half = emitAttentionHalf(block, hidden, weights, context);
    output(HIDDEN_OUT, emitMlpHalf(block, { hidden, residual: half.attentionResidual }, weights));
  }) as MemoryModel;
}

/**
 * The gradients of that block: its inputs and `grad.hidden_out` to `grad.<input>` of `inputs`. What is between is computed
 * again.
 */
export function backwardGraph(forward: MemoryModel, inputs: readonly string[]): MemoryModel {
  const { backward } = forwardAndBackward(forward.bytes, { outputs: [HIDDEN_OUT], inputs, kept: [] });
  return { ...forward, bytes: backward };
}
