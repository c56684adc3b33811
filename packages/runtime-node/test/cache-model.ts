import { createGraphBuilder, int64Value } from "@kvfold/onnx";

/**
 * A cache that grows: `present.0.key [1, 1, T + 1, 2]` is `past_key_values.0.key [1, 1, T, 2]` with `x [1, 1, 1, 2]` after it,
 * and `sum [1]` its sum.
 */
export function buildGrowingCache(): Uint8Array {
  const graph = createGraphBuilder({ graphName: "growing", opsets: { "": 21 } });
  graph.input("x", "float32", [1, 1, 1, 2]);
  graph.input("past_key_values.0.key", "float32", [1, 1, "past_sequence_length", 2]);
  const past = ["past_key_values.0.key", "x"];
  graph.nodeWithOutputs("Concat", past, ["present.0.key"], { name: "append", attributes: { axis: 2 } });
  const axes = graph.constant("axes", int64Value([1, 2, 3]));
  graph.nodeWithOutputs("ReduceSum", ["present.0.key", axes], ["sum"], {
    name: "sum",
    attributes: { keepdims: 0 },
  });
  graph.output("sum", "float32", [1]);
  graph.output("present.0.key", "float32", [1, 1, "total_sequence_length", 2]);
  return graph.toBytes();
}

/** A sum so far: `total [3] = before [3] + x [3]`. */
export function buildRunningSum(type: "float32" | "float16" = "float32"): Uint8Array {
  const graph = createGraphBuilder({ graphName: "sum", opsets: { "": 21 } });
  graph.input("x", type, [3]);
  graph.input("before", type, [3]);
  graph.nodeWithOutputs("Add", ["before", "x"], ["total"], { name: "add" });
  graph.output("total", type, [3]);
  return graph.toBytes();
}
