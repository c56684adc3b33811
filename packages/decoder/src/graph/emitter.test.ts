import { createGraphBuilder, readModel } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { createEmitter, OPSETS } from "./emitter.js";

const graphOf = () => createGraphBuilder({ graphName: "test", opsets: OPSETS });

describe("createEmitter", () => {
  it("names the tensor that float16 cannot hold as checkpoints do", () => {
    const e = createEmitter(graphOf(), { floatType: "float16" }).at("model/layers.0/mlp/up_proj");
    const emit = () => e.floats("MatMul/weight", [2], Float32Array.of(65504, -1e5));
    expect(emit).toThrow(
      /tensor model\.layers\.0\.mlp\.up_proj\.weight: .* 65504, .* found -100000 at index 1/,
    );
    expect(() => e.scalar(1e5)).toThrow(/constants\/float16\/100000: .* 65504/);
  });

  it("keeps in float32 what float16 cannot hold", () => {
    const graph = graphOf();
    createEmitter(graph, { floatType: "float32" })
      .at("up_proj")
      .floats("MatMul/weight", [1], Float32Array.of(1e5));
    expect([...readModel(graph.toBytes()).initializers.keys()]).toEqual(["up_proj.MatMul.weight"]);
  });
});
