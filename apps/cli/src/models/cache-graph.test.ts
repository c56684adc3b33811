import { expect, it } from "vitest";
import { requireCacheGraph } from "./cache-graph.js";

const graphs = {
  policyGraph: "model_policy.onnx",
  quantisedGraphs: { int8: "model_policy_int8.onnx", int4: undefined },
};

it.each([
  ["policies", "model_policy.onnx"],
  ["int8", "model_policy_int8.onnx"],
] as const)("takes the graph of %s, but not for a GPU", (use, graph) => {
  expect(requireCacheGraph("model", graphs, use, { graph: "delta" })).toBe(graph);
  expect(() => requireCacheGraph("model", graphs, use, { graph: "standard" })).toThrow(
    "policies act on caches in the memory of the CPU; give --device cpu, or leave out --cache",
  );
});

it("says how to add a graph that the model lacks", () => {
  expect(() => requireCacheGraph("model", graphs, "int4", { graph: "delta" })).toThrow(
    "model has no graph for --cache int4 (onnx/model_policy_int4.onnx); add it with kvfold add-graphs --cache-bits 4",
  );
});
