import type { EmbeddingWeights, HeadWeights, ModelConfig } from "@kvfold/decoder";
import type { Emitter } from "@kvfold/decoder/graph";
import { emitHead, HIDDEN_IN, windowGraph } from "@kvfold/decoder/graph";
import type { ModelSource } from "@kvfold/runtime";

/** Names of the loss graph's input and output besides `hidden_in`. */
export const NEXT_TOKENS = "next_tokens";
export const LOSS = "loss";

export declare namespace lossGraph {
  interface Options {
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
    readonly head: HeadWeights;
    /** Tokens of a window, at least 2. */
    readonly length: number;
  }
}

/**
 * What a window's hidden states cost: `hidden_in [1, S, D]` behind the last block and int64 `next_tokens [1, S - 1]` to
 * `loss [1]`, the sum of `-log p(next token)` in nats over the first `S - 1` positions.
 */
export function lossGraph({ config, embedding, head, length }: lossGraph.Options): ModelSource {
  const { vocabSize } = config.shape;
  return windowGraph(config, length, ({ e, input }) => {
    const hidden = input(HIDDEN_IN);
    const next = e.graph.input(NEXT_TOKENS, "int64", [1, length - 1]);
    const predicting = e.node("Slice", "hidden/Slice", [
      hidden,
      e.graph.int64([0]),
      e.graph.int64([length - 1]),
      e.graph.int64([1]),
    ]);
    const table =
      head.table === undefined
        ? emitTable(e, embedding, [vocabSize, embedding.table.length / vocabSize])
        : "";
    emitLoss(e.at("loss"), emitHead(e, predicting, table, head, config.shape), next);
  });
}

const emitTable = (e: Emitter, { table }: EmbeddingWeights, dims: readonly number[]): string =>
  e.floats("model/embed_tokens/weight", dims, table);

/** Logits `[1, N, V]` and the tokens that follow `[1, N]` to the summed loss. */
function emitLoss(e: Emitter, logits: string, next: string): void {
  const log = e.node("LogSoftmax", "LogSoftmax", [logits], { attributes: { axis: -1 } });
  const index = e.node("Unsqueeze", "Unsqueeze", [next, e.graph.int64([2])]);
  const chosen = e.node("GatherElements", "GatherElements", [log, index], { attributes: { axis: 2 } });
  const sum = e.node("ReduceSum", "ReduceSum", [chosen, e.graph.int64([1, 2])], {
    attributes: { keepdims: 0 },
  });
  e.graph.nodeWithOutputs("Neg", [sum], [LOSS], { name: "/loss/Neg" });
  e.graph.output(LOSS, "float32", [1]);
}
