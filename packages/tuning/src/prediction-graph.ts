import { emitHead, HIDDEN_IN, type MemoryModel, windowGraph } from "@kvfold/decoder/graph";
import { emitTable, type headGraph } from "./head-graph.js";

/** Name of the further input of a prediction graph, and of its output. */
export const DRAWN_IN = "drawn_in";
export const PREDICTED = "predicted";

export declare namespace predictionGraph {
  type Options = Omit<headGraph.Options, "loss">;
}

/**
 * Draws next tokens from what a model predicts: `hidden_in [1, N, D]` after the last block and numbers `drawn_in [1, N, 1]`,
 * uniform in [0, 1), to int64 `predicted [1, N]`. A token is as likely as the model says.
 */
export function predictionGraph({ config, embedding, head }: predictionGraph.Options): MemoryModel {
  const { shape } = config;
  return windowGraph(config, 1, ({ e }) => {
    const hidden = e.graph.input(HIDDEN_IN, "float32", [1, "rows", shape.hiddenSize]);
    const drawn = e.graph.input(DRAWN_IN, "float32", [1, "rows", 1]);
    const table = head.table === undefined ? emitTable(e, embedding, shape.vocabSize) : "";
    const logits = emitHead(e, hidden, table, head, shape);
    const shares = e.node("Softmax", "draw/Softmax", [logits], { attributes: { axis: -1 } });
    const sums = e.node("CumSum", "draw/CumSum", [shares, e.graph.int64([2], [])]);
    // The token whose share of [0, 1) holds the number comes after all whose sums do not exceed it.
    const passed = e.node("LessOrEqual", "draw/LessOrEqual", [sums, drawn]);
    const count = e.node(
      "ReduceSum",
      "draw/ReduceSum",
      [e.cast("draw/Cast", passed, "int64"), e.graph.int64([2])],
      {
        attributes: { keepdims: 0 },
      },
    );
    // Rounding may leave the last sum below 1.
    const last = e.graph.int64([shape.vocabSize - 1]);
    e.graph.nodeWithOutputs("Min", [count, last], [PREDICTED], { name: "/draw/Min" });
    e.graph.output(PREDICTED, "int64", [1, "rows"]);
  });
}
