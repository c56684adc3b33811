import { createGraphBuilder, readModel } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { differentiate, forwardAndBackward } from "../src/index.js";
import { blockGraph, blockValues, HIDDEN_IN, HIDDEN_OUT } from "./support/block-graphs.js";
import { relativeError } from "./support/central-differences.js";
import { randomNumbers } from "./support/random.js";
import { type Feed, feedsOf, runModel } from "./support/run-model.js";

const RESIDUAL = "/attn/residual/Add/output_0";
const SEED = `grad.${HIDDEN_OUT}`;

describe("a block in two graphs", async () => {
  const block = await blockGraph("llama", 5);
  const values = blockValues(block);
  const inputs = Object.keys(values);
  const options = { outputs: [HIDDEN_OUT], inputs };
  const hidden = feedsOf({ [HIDDEN_IN]: values[HIDDEN_IN]! }, "float32");
  const upstream = feedsOf({ [SEED]: randomNumbers(values[HIDDEN_IN]!.dims, 2) }, "float32");
  const expected = () => runModel(differentiate(block.bytes, options), { ...hidden, ...upstream }, block);

  it.each([
    ["with all values that gradients read", undefined],
    ["with the stream between the halves", [RESIDUAL]],
    ["with nothing but its input", []],
  ])("has the gradients of one, %s", async (_, kept) => {
    const parts = forwardAndBackward(block.bytes, { ...options, ...(kept && { kept }) });
    expect(parts.kept).toEqual(kept ?? parts.kept);
    const forward = await runModel(parts.forward, hidden, block);
    const between = Object.fromEntries(parts.kept.map((name) => [name, forward[name]!]));
    const feeds = { ...hidden, ...upstream, ...feedsOf(between, "float32") };
    const found = await runModel(parts.backward, feeds, block);
    const whole = await expected();
    expect(forward[HIDDEN_OUT]).toEqual(whole[HIDDEN_OUT]);
    // The same operators, in other orders of fusion: float32 rounds by 6e-8.
    for (const name of inputs)
      expect(relativeError(found[`grad.${name}`]!.data, whole[`grad.${name}`]!.data)).toBeLessThan(1e-6);
  });

  it("computes nothing forward that is kept", () => {
    const { backward } = forwardAndBackward(block.bytes, options);
    const names = readModel(backward).nodes.map(({ name }) => name);
    expect(names.filter((name) => !name.startsWith("gradient/"))).toEqual([]);
  });
});

it("keeps the shape of a value that is read for its shape alone", async () => {
  const graph = createGraphBuilder({ graphName: "test", opsets: { "": 18 } });
  const x = graph.input("x", "float32", ["n", "m"]);
  const y = graph.node("Exp", [graph.node("Sin", [x], { name: "sin" })], { name: "exp" });
  graph.nodeWithOutputs("ReduceSum", [y, graph.int64([1])], ["z"], { name: "sum" });
  graph.output("z", "float32", ["n", 1]);
  const parts = forwardAndBackward(graph.toBytes(), { outputs: ["z"], inputs: ["x"] });
  expect(parts.kept.toSorted()).toEqual(["exp/output_0", "gradient/shape/exp/output_0"]);
  const feed: Feed = { type: "float32", dims: [1, 2], data: [0, Math.PI] };
  const forward = await runModel(parts.forward, { x: feed });
  expect(forward["gradient/shape/exp/output_0"]).toEqual({ dims: [2], data: [1, 2] });
  const found = await runModel(parts.backward, {
    x: feed,
    "exp/output_0": { type: "float32", ...forward["exp/output_0"]! },
    "gradient/shape/exp/output_0": { type: "int64", ...forward["gradient/shape/exp/output_0"]! },
    "grad.z": { type: "float32", dims: [1, 1], data: [2] },
  });
  // 2 exp(sin x) cos x at 0 and π.
  expect(found["grad.x"]!.data[0]).toBeCloseTo(2, 6);
  expect(found["grad.x"]!.data[1]).toBeCloseTo(-2, 5);
});
