import { createGraphBuilder, readModel } from "@kvfold/onnx";
import { expect, it } from "vitest";
import type { GraphFile } from "../checkpoint/graph-file.js";
import type { AttentionSource } from "../model/block-spec.js";
import { exportedGraph } from "./exported-graph.js";
import { matchGroupQueryAttention } from "./match-group-query-attention.js";

const spec = { heads: 4, kvHeads: 2, headDim: 16, scale: 1 / 4 } as AttentionSource;

/** The last input of an operator whose inputs up to there are left out. */
it.each([
  [10, "a bias"],
  [11, "sinks"],
  [12, "scales of a quantised cache"],
  [14, "a norm of queries"],
  [15, "a norm of keys"],
])("an operator with input %i, %s, is refused", (index) => {
  const builder = createGraphBuilder({ graphName: "main_graph", opsets: { "com.microsoft": 1 } });
  const packed = builder.input("packed", "float32", ["batch", "sequence", 128]);
  const extra = builder.input("extra", "float32", [16]);
  const inputs = [packed, ...Array.from({ length: index - 1 }, () => ""), extra];
  builder.nodeWithOutputs("GroupQueryAttention", inputs, ["attended"], {
    name: "attention",
    domain: "com.microsoft",
    attributes: { num_heads: 4, kv_num_heads: 2 },
  });
  const view = readModel(builder.toBytes());
  const graph = exportedGraph({ name: "model.onnx", view } as GraphFile, new Map());
  expect(() => matchGroupQueryAttention(graph, "attended", spec, "layer 0")).toThrow(
    `expected attention of layer 0 without extra (input ${index}), found GroupQueryAttention (node attention)`,
  );
});
