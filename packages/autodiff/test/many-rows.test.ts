import { createGraphBuilder, readModel } from "@kvfold/onnx";
import { expect, it } from "vitest";
import { differentiate } from "../src/index.js";
import { randomNumbers } from "./support/random.js";
import { runModel } from "./support/run-model.js";

it("sums the gradient of a matrix over runs of very many rows, [2, 4096, 2] of them", async () => {
  const graph = createGraphBuilder({ graphName: "rows", opsets: { "": 18 } });
  const x = graph.input("x", "float32", [2, 4096, 2]);
  const w = graph.input("w", "float32", [2, 3]);
  graph.nodeWithOutputs("MatMul", [x, w], ["y"], { name: "product" });
  graph.output("y", "float32", [2, 4096, 3]);
  const bytes = differentiate(graph.toBytes(), { outputs: ["y"], inputs: ["w"] });
  expect(readModel(bytes).nodes.map(({ operator }) => operator)).toContain("ReduceSum");
  const numbers = (dims: readonly number[], seed: number) => ({
    type: "float32" as const,
    ...randomNumbers(dims, seed),
  });
  const feeds = { x: numbers([2, 4096, 2], 1), w: numbers([2, 3], 2), "grad.y": numbers([2, 4096, 3], 3) };
  const found = (await runModel(bytes, feeds))["grad.w"]!.data;
  for (const [index, value] of found.entries()) {
    const [row, column] = [Math.floor(index / 3), index % 3];
    let sum = 0;
    for (let i = 0; i < 8192; i++) sum += feeds.x.data[2 * i + row]! * feeds["grad.y"].data[3 * i + column]!;
    // Float32 sums of 8192 products of about a third.
    expect(Math.abs(value - sum)).toBeLessThan(1e-3);
  }
});
