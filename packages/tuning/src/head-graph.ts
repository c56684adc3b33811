import { differentiate } from "@kvfold/autodiff";
import type { EmbeddingWeights, HeadWeights, ModelConfig } from "@kvfold/decoder";
import { type Emitter, emitHead, HIDDEN_IN, type MemoryModel, windowGraph } from "@kvfold/decoder/graph";
import type { GraphScope } from "@kvfold/onnx";
import { GRADIENT } from "./block-graphs.js";

/**
 * What is minimised: `distillation`, the Kullback-Leibler divergence of the model's predictions from the original's over the
 * whole vocabulary; `text`, the cross-entropy of the text's own next tokens. Both in nats per token.
 */
export type Loss = "distillation" | "text";

/** Names of a head graph's inputs besides `hidden_in`: the one is there for `distillation`, the other for `text`. */
export const ORIGINAL_IN = "original_in";
export const NEXT_TOKENS = "next_tokens";
/** Name of its output. */
export const LOSS = "loss";

export declare namespace headGraph {
  interface Options {
    readonly config: ModelConfig;
    readonly embedding: EmbeddingWeights;
    readonly head: HeadWeights;
    readonly loss: Loss;
  }
}

/**
 * What any number of rows after the last block cost: `hidden_in [1, N, D]`, and `original_in [1, N, D]` of the original or
 * int64 `next_tokens [1, N]`, to `loss [1]`, a sum over the rows.
 */
export function headGraph({ config, embedding, head, loss }: headGraph.Options): MemoryModel {
  const { shape } = config;
  return windowGraph(config, 1, ({ e }) => {
    const rows = (name: string) => e.graph.input(name, "float32", [1, "rows", shape.hiddenSize]);
    const hidden = rows(HIDDEN_IN);
    const table = head.table === undefined ? emitTable(e, embedding, shape.vocabSize) : "";
    const predict = (at: Emitter, x: string) => emitLogProbabilities(at, emitHead(at, x, table, head, shape));
    const predicted = predict(e, hidden);
    if (loss === "text")
      return emitCrossEntropy(e, predicted, e.graph.input(NEXT_TOKENS, "int64", [1, "rows"]));
    emitDivergence(e, predicted, predict(e.into(sameWeights(e.graph)), rows(ORIGINAL_IN)));
  });
}

/** The same with `grad.hidden_in`; it takes `grad.loss`, what the sum is multiplied by. */
export function headGradientGraph(head: MemoryModel): MemoryModel {
  const options = { outputs: [LOSS], inputs: [HIDDEN_IN], upstream: [LOSS], prefix: GRADIENT };
  return { ...head, bytes: differentiate(head.bytes, options) };
}

export const emitTable = (e: Emitter, { table }: EmbeddingWeights, rows: number): string =>
  e.floats("model/embed_tokens/weight", [rows, table.length / rows], table);

/** A scope for a further use of the same weights. */
export function sameWeights(graph: GraphScope, label = "/original"): GraphScope {
  const renamed = <Options extends { readonly name: string }>(options: Options): Options => ({
    ...options,
    name: `${label}${options.name}`,
  });
  return {
    ...graph,
    weight: (name) => name,
    streamedWeight: (name) => name,
    node: (operator, inputs, options) => graph.node(operator, inputs, renamed(options)),
    nodeWithOutputs: (operator, inputs, outputs, options) =>
      graph.nodeWithOutputs(operator, inputs, outputs, renamed(options)),
  };
}

const emitLogProbabilities = (e: Emitter, logits: string): string =>
  e.node("LogSoftmax", "loss/LogSoftmax", [logits], { attributes: { axis: -1 } });

/** `p (log p - log q)`, p the original's predictions. */
export function emitDivergenceTerms(e: Emitter, predicted: string, original: string): string {
  const probabilities = e.node("Exp", "loss/Exp", [original]);
  const difference = e.node("Sub", "loss/Sub", [original, predicted]);
  return e.node("Mul", "loss/Mul", [probabilities, difference]);
}

const emitDivergence = (e: Emitter, predicted: string, original: string): void =>
  emitLoss(e, emitDivergenceTerms(e, predicted, original));

function emitCrossEntropy(e: Emitter, predicted: string, next: string): void {
  const index = e.node("Unsqueeze", "loss/Unsqueeze", [next, e.graph.int64([2])]);
  const chosen = e.node("GatherElements", "loss/GatherElements", [predicted, index], {
    attributes: { axis: 2 },
  });
  emitLoss(e, e.node("Neg", "loss/Neg", [chosen]));
}

function emitLoss(e: Emitter, terms: string): void {
  const sum = e.node("ReduceSum", "loss/ReduceSum", [terms, e.graph.int64([1, 2])], {
    attributes: { keepdims: 0 },
  });
  e.graph.nodeWithOutputs("Identity", [sum], [LOSS], { name: "/loss/Identity" });
  e.graph.output(LOSS, "float32", [1]);
}
