import { createGraphBuilder, readModel } from "@kvfold/onnx";
import { expect, it } from "vitest";
import { differentiate } from "../src/index.js";
import { randomNumbers } from "./support/random.js";
import { runModel } from "./support/run-model.js";

const numbers = (dims: readonly number[], seed: number) => ({
  type: "float32" as const,
  ...randomNumbers(dims, seed),
});

it("sums the gradient of a matrix over runs of very many rows, [2, 4096, 2] of them", async () => {
  const graph = createGraphBuilder({ graphName: "rows", opsets: { "": 18 } });
  const x = graph.input("x", "float32", [2, 4096, 2]);
  const w = graph.input("w", "float32", [2, 3]);
  graph.nodeWithOutputs("MatMul", [x, w], ["y"], { name: "product" });
  graph.output("y", "float32", [2, 4096, 3]);
  const bytes = differentiate(graph.toBytes(), { outputs: ["y"], inputs: ["w"] });
  expect(readModel(bytes).nodes.map(({ operator }) => operator)).toContain("ReduceSum");
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

/** Dimensions of values that are turned in a graph, and its gradient by `b`, beside what is multiplied out here. */
async function gradientOfProduct(a: readonly number[], b: readonly number[]) {
  const graph = createGraphBuilder({ graphName: "product", opsets: { "": 18 } });
  const y = [...a.slice(0, -1), b.at(-1)!];
  graph.nodeWithOutputs("MatMul", [graph.input("a", "float32", a), graph.input("b", "float32", b)], ["y"], {
    name: "product",
  });
  graph.output("y", "float32", y);
  const bytes = differentiate(graph.toBytes(), { outputs: ["y"], inputs: ["b"] });
  const turned = readModel(bytes).nodes.flatMap(({ operator, inputs }) =>
    operator === "Transpose" ? inputs : [],
  );
  const feeds = { a: numbers(a, 1), b: numbers(b, 2), "grad.y": numbers(y, 3) };
  return { turned, found: (await runModel(bytes, feeds))["grad.b"]!.data, feeds };
}

it("turns the smaller factor, of one matrix for all rows and of a matrix for each", async () => {
  const [rows, inner, width] = [8192, 6, 2];
  const shared = await gradientOfProduct([2, rows / 2, inner], [inner, width]);
  const single = await gradientOfProduct([1, rows, inner], [1, inner, width]);
  for (const { turned, found, feeds } of [shared, single]) {
    expect(turned).not.toContain("a");
    for (const [index, value] of found.entries()) {
      const [row, column] = [Math.floor(index / width), index % width];
      let sum = 0;
      for (let i = 0; i < rows; i++)
        sum += feeds.a.data[inner * i + row]! * feeds["grad.y"].data[width * i + column]!;
      // Float32 sums of 8192 products of about a third.
      expect(Math.abs(value - sum)).toBeLessThan(1e-3);
    }
  }
  // A factor that is not larger than what it would spare is turned itself.
  expect((await gradientOfProduct([1, 4, 2], [1, 2, 8])).turned).toEqual(["a"]);
});
