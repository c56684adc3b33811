import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGraphBuilder, type DataType, type GraphBuilder, readModel } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { AutodiffError, differentiate, type GradientRule } from "../src/index.js";
import { type Feed, type Numbers, runModel } from "./support/run-model.js";

const OPSETS = { "": 18 };

type Dims = readonly (number | string)[];

/** A graph of float64 inputs; `emit` returns outputs by the names that they get. */
function model(
  inputs: Readonly<Record<string, Dims>>,
  emit: (graph: GraphBuilder) => Readonly<Record<string, readonly [value: string, dims: Dims]>>,
  opsets: Readonly<Record<string, number>> = OPSETS,
): Uint8Array {
  const graph = createGraphBuilder({ graphName: "test", opsets });
  for (const [name, dims] of Object.entries(inputs)) graph.input(name, "float64", dims);
  for (const [name, [value, dims]] of Object.entries(emit(graph))) {
    graph.nodeWithOutputs("Identity", [value], [name], { name: `${name}/identity` });
    graph.output(name, "float64", dims);
  }
  return graph.toBytes();
}

const node = (graph: GraphBuilder, operator: string, inputs: readonly string[], name = operator): string =>
  graph.node(operator, inputs, { name });

const vector = (...data: readonly number[]): Feed => ({ type: "float64", dims: [data.length], data });
const operators = (bytes: Uint8Array) => readModel(bytes).nodes.map(({ operator }) => operator);
const dataOf = (values: Record<string, Numbers>, name: string) => values[name]!.data;

/** `loss = Σ tanh(w x)²`. */
const loss = () =>
  model({ x: [3], w: [3] }, (graph) => {
    const y = node(graph, "Tanh", [node(graph, "Mul", ["w", "x"])]);
    return {
      loss: [
        graph.node("ReduceSum", [node(graph, "Mul", [y, y], "square")], {
          name: "sum",
          attributes: { keepdims: 0 },
        }),
        [],
      ],
    };
  });

describe("what a differentiated graph has", () => {
  it("is the graph, a vector for each output and a gradient for each input", () => {
    const bytes = model({ x: ["n", 2] }, (graph) => ({ y: [node(graph, "Exp", ["x"]), ["n", 2]] }));
    const { inputs, outputs } = readModel(differentiate(bytes, { outputs: ["y"], inputs: ["x"] }));
    expect(inputs).toEqual([
      { name: "x", type: "float64", dims: ["n", 2] },
      { name: "grad.y", type: "float64", dims: ["n", 2] },
    ]);
    expect(outputs).toEqual([
      { name: "y", type: "float64", dims: ["n", 2] },
      { name: "grad.x", type: "float64", dims: ["n", 2] },
    ]);
  });

  it("is a gradient by values that nodes compute, too, all that they lead to together", async () => {
    // y = u + exp(u) of u = x²: by u alone, and on to x.
    const bytes = model({ x: [2] }, (graph) => {
      graph.nodeWithOutputs("Mul", ["x", "x"], ["u"], { name: "square" });
      return { y: [node(graph, "Add", ["u", node(graph, "Exp", ["u"])]), [2]] };
    });
    const both = differentiate(bytes, { outputs: ["y"], inputs: ["u", "x"] });
    expect(readModel(both).outputs.at(-2)).toEqual({ name: "grad.u", type: "float64", dims: [2] });
    const found = await runModel(both, { x: vector(0, 2), "grad.y": vector(1, 10) });
    const byU = [2, 10 * (1 + Math.exp(4))];
    expect(dataOf(found, "grad.u")).toEqual(byU);
    expect(dataOf(found, "grad.x")).toEqual([0, 4 * byU[1]!]);
    // Nothing below a value is differentiated where nobody asks for it.
    const alone = differentiate(bytes, { outputs: ["y"], inputs: ["u"] });
    expect(operators(alone).filter((operator) => operator === "Mul")).toHaveLength(2);
  });

  it("is no vector for a single number, unless asked for", async () => {
    const feeds = { x: vector(0, 1, 0.5), w: vector(1, 2, 0) };
    const plain = differentiate(loss(), { outputs: ["loss"], inputs: ["x"] });
    expect(readModel(plain).inputs.map(({ name }) => name)).toEqual(["x", "w"]);
    // d/dx tanh(2 x)² = 4 tanh(2 x) (1 - tanh(2 x)²).
    const slope = 4 * Math.tanh(2) * (1 - Math.tanh(2) ** 2);
    const once = dataOf(await runModel(plain, feeds), "grad.x");
    expect(once[1]).toBeCloseTo(slope, 14);
    expect([once[0], once[2]]).toEqual([0, 0]);
    const scaled = differentiate(loss(), { outputs: ["loss"], inputs: ["x"], upstream: ["loss"] });
    const three = { ...feeds, "grad.loss": { type: "float64" as const, dims: [], data: [3] } };
    expect(dataOf(await runModel(scaled, three), "grad.x")[1]).toBeCloseTo(3 * slope, 13);
  });

  it("computes nothing for what it is not differentiated by", () => {
    const bytes = model({ x: [2, 2], w: [2, 2], c: [1] }, (graph) => {
      const scaled = node(graph, "Mul", ["x", node(graph, "Exp", [node(graph, "Sin", ["c"])])]);
      return { y: [node(graph, "MatMul", [scaled, "w"]), [2, 2]] };
    });
    const added = operators(differentiate(bytes, { outputs: ["y"], inputs: ["x"] })).slice(
      operators(bytes).length,
    );
    expect(added).toEqual(["Transpose", "MatMul", "Mul", "Identity"]);
  });

  it("leaves out the branches that do not lead to the outputs", () => {
    const bytes = model({ x: [2] }, (graph) => ({
      y: [node(graph, "Exp", ["x"]), [2]],
      z: [node(graph, "Det", [node(graph, "Expand", ["x", graph.int64([2, 2])])]), []],
    }));
    expect(() => differentiate(bytes, { outputs: ["y"], inputs: ["x"] })).not.toThrow();
  });

  it("splits no tensor into more pieces than a GPU's shader has buffers for", () => {
    const names = Array.from({ length: 60 }, (_, index) => `x${index}`);
    const bytes = model(Object.fromEntries(names.map((name) => [name, [2]])), (graph) => ({
      y: [graph.node("Concat", names, { name: "all", attributes: { axis: 0 } }), [120]],
    }));
    const splits = readModel(differentiate(bytes, { outputs: ["y"], inputs: names })).nodes.filter(
      ({ operator }) => operator === "Split",
    );
    // Shaders have 8 buffers at least, one of which is read.
    expect(Math.max(...splits.map(({ outputs }) => outputs.length))).toBe(7);
  });

  it("is zeros for inputs that no output depends on, and nothing flows through comparisons", async () => {
    const bytes = model({ x: [2], c: [2] }, (graph) => ({
      y: [node(graph, "Where", [node(graph, "Less", ["c", "x"]), "x", node(graph, "Neg", ["x"])]), [2]],
    }));
    const gradients = differentiate(bytes, { outputs: ["y"], inputs: ["x", "c"] });
    const found = await runModel(gradients, { x: vector(1, 2), c: vector(0, 3), "grad.y": vector(5, 7) });
    expect(dataOf(found, "grad.x")).toEqual([5, -7]);
    expect(found["grad.c"]).toEqual({ dims: [2], data: [0, 0] });
  });

  it("adds up outputs that depend on the same input", async () => {
    const bytes = model({ x: [2] }, (graph) => ({
      y: [node(graph, "Mul", ["x", "x"]), [2]],
      z: [node(graph, "Neg", ["x"]), [2]],
    }));
    const gradients = differentiate(bytes, { outputs: ["y", "z"], inputs: ["x"] });
    const feeds = { x: vector(3, 5), "grad.y": vector(1, 0), "grad.z": vector(1, 10) };
    expect(dataOf(await runModel(gradients, feeds), "grad.x")).toEqual([5, -10]);
  });
});

describe("laws", () => {
  const f = () =>
    model({ x: [3] }, (graph) => ({ y: [node(graph, "Exp", [node(graph, "Sin", ["x"])]), [3]] }));
  const options = { outputs: ["y"], inputs: ["x"] };

  it("gradients are linear in the vector", async () => {
    const bytes = differentiate(f(), options);
    const at = async (...w: readonly number[]) =>
      dataOf(await runModel(bytes, { x: vector(0.1, 0.2, 0.3), "grad.y": vector(...w) }), "grad.x");
    const [a, b, sum] = [await at(1, 2, 3), await at(-4, 0, 5), await at(2 - 4, 4, 6 + 5)];
    // Float64 rounds by 1e-16.
    for (const [index, value] of sum.entries()) expect(value).toBeCloseTo(2 * a[index]! + b[index]!, 14);
  });

  it("the gradient of a function of a function is the product of theirs", async () => {
    const both = model({ x: [3] }, (graph) => {
      const y = node(graph, "Exp", [node(graph, "Sin", ["x"])]);
      return { z: [node(graph, "Tanh", [y]), [3]] };
    });
    const x = vector(0.1, 0.2, 0.3);
    const w = vector(1, -2, 3);
    const whole = await runModel(differentiate(both, { outputs: ["z"], inputs: ["x"] }), { x, "grad.z": w });
    const y = vector(...dataOf(await runModel(f(), { x }), "y"));
    const last = model({ y: [3] }, (graph) => ({ z: [node(graph, "Tanh", ["y"]), [3]] }));
    const outer = await runModel(differentiate(last, { outputs: ["z"], inputs: ["y"] }), { y, "grad.z": w });
    const inner = await runModel(differentiate(f(), options), {
      x,
      "grad.y": vector(...dataOf(outer, "grad.y")),
    });
    for (const [index, value] of dataOf(inner, "grad.x").entries())
      expect(value).toBeCloseTo(dataOf(whole, "grad.x")[index]!, 14);
  });

  it("a differentiated graph can be differentiated again", async () => {
    const cube = model({ x: [2] }, (graph) => ({
      y: [node(graph, "Mul", [node(graph, "Mul", ["x", "x"], "square"), "x"]), [2]],
    }));
    const once = differentiate(cube, options);
    const twice = differentiate(once, { outputs: ["grad.x"], inputs: ["x"], prefix: "second." });
    const feeds = { x: vector(2, -3), "grad.y": vector(1, 1), "second.grad.x": vector(1, 10) };
    // (x³)'' = 6 x.
    expect(dataOf(await runModel(twice, feeds), "second.x")).toEqual([12, -180]);
  });
});

describe("values that are computed again", () => {
  /** Three times `tanh(x w)`. */
  const layers = () =>
    model({ x: [2, 2], w: [2, 2] }, (graph) => {
      let value = "x";
      for (const layer of ["a", "b", "c"]) {
        const product = node(graph, "MatMul", [value, "w"], `${layer}/product`);
        [value] = graph.nodeWithOutputs("Tanh", [product], [layer], { name: `${layer}/tanh` }) as [string];
      }
      return { y: [value, [2, 2]] };
    });
  const matrix = (...data: readonly number[]): Feed => ({ type: "float64", dims: [2, 2], data });
  const feeds = { x: matrix(1, 2, 3, 4), w: matrix(0.1, -0.2, 0.3, 0.4), "grad.y": matrix(1, 2, 3, 4) };
  const options = { outputs: ["y"], inputs: ["x", "w"] };

  it("give the same gradients", async () => {
    const expected = await runModel(differentiate(layers(), options), feeds);
    for (const kept of [[], ["b"], ["a", "b"]])
      expect(await runModel(differentiate(layers(), { ...options, kept }), feeds)).toEqual(expected);
  });

  it("are computed again by ONNX Runtime, too", async () => {
    const folder = await mkdtemp(join(tmpdir(), "kvfold-autodiff-"));
    try {
      const path = join(folder, "optimised.onnx");
      const bytes = differentiate(layers(), { ...options, kept: [] });
      await runModel(bytes, feeds, { optimizedModelFilePath: path });
      const products = operators(await readFile(path)).filter((operator) => operator === "Tanh");
      // Three forward, three again.
      expect(products).toHaveLength(6);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("are computed from those that are kept", () => {
    const bytes = differentiate(layers(), { ...options, kept: ["b"] });
    const tanhs = readModel(bytes).nodes.filter(({ operator }) => operator === "Tanh");
    // That of b is kept, those of a and c are written twice.
    expect(tanhs.map(({ name }) => name)).toEqual([
      "a/tanh",
      "b/tanh",
      "c/tanh",
      "gradient/again/c",
      "gradient/again/a",
    ]);
  });
});

it("takes rules for further operators and other rules for known ones", async () => {
  const bytes = model({ x: [2] }, (graph) => ({
    y: [node(graph, "Round", [node(graph, "Exp", ["x"])]), [2]],
  }));
  const straightThrough: GradientRule = (n) => [() => n.upstream()];
  const options = { outputs: ["y"], inputs: ["x"], rules: { Exp: straightThrough } };
  const feeds = { x: vector(1, 2), "grad.y": vector(3, 4) };
  expect(dataOf(await runModel(differentiate(bytes, options), feeds), "grad.x")).toEqual([0, 0]);
  const rules = { Exp: straightThrough, Round: straightThrough };
  expect(dataOf(await runModel(differentiate(bytes, { ...options, rules }), feeds), "grad.x")).toEqual([
    3, 4,
  ]);
});

describe("errors", () => {
  const y = { outputs: ["y"], inputs: ["x"] };
  const exp = () => model({ x: [2] }, (graph) => ({ y: [node(graph, "Exp", ["x"]), [2]] }));
  const det = () =>
    model({ x: [2, 2] }, (graph) => ({
      y: [node(graph, "Det", [node(graph, "Exp", ["x"], "first")], "volume"), []],
    }));

  it("name an operator without gradient, its node and the path", () => {
    expect(() => differentiate(det(), y)).toThrow(
      'Det "volume": no gradient is known of operator Det; give a rule for it; it lies on the path x → Exp "first" → Det "volume" → Identity "y/identity" → y',
    );
    expect(() => differentiate(det(), y)).toThrow(expect.objectContaining({ code: "no-gradient" }));
  });

  it("show a path that ends at an output, whatever else reads a value on it", () => {
    const bytes = model({ x: [2, 2] }, (graph) => {
      const volume = node(graph, "Det", ["x"]);
      node(graph, "Neg", [volume], "nowhere");
      return { y: [node(graph, "Exp", [volume]), []] };
    });
    expect(() => differentiate(bytes, y)).toThrow(
      'path x → Det "Det" → Exp "Exp" → Identity "y/identity" → y',
    );
  });

  it("refuse branches", () => {
    const bytes = model({ x: [2] }, (graph) => {
      const flag = graph.input("flag", "bool", []);
      const branch = (name: string) => {
        const inside = graph.branch(name);
        inside.output(inside.node("Neg", ["x"], { name: `${name}/neg` }), "float64", [2]);
        return inside.toAttribute();
      };
      const attributes = { then_branch: branch("a"), else_branch: branch("b") };
      return { y: [graph.node("If", [flag], { name: "choice", attributes }), [2]] };
    });
    expect(() => differentiate(bytes, y)).toThrow(
      /If "choice": gradients do not go through If, .* path x → If/,
    );
  });

  it.each([
    ["an unknown input", { ...y, inputs: ["q"] }, /none called "q"; its inputs are "x"/],
    ["an unknown output", { ...y, outputs: ["q"] }, /none called "q"; they are "y"/],
    ["no input", { ...y, inputs: [] }, /expected inputs to name at least one value, found none/],
    ["an input twice", { ...y, inputs: ["x", "x"] }, /expected inputs to name a value once, found "x" twice/],
    [
      "an unknown value that is kept",
      { ...y, kept: ["x"] },
      /expected kept to name values that nodes .* "x"/,
    ],
    ["another vector", { ...y, upstream: ["x"] }, /expected upstream to name some of outputs, found "x"/],
    ["a missing vector", { ...y, upstream: [] }, /expected upstream to name output "y"/],
  ])("name %s", (_, options, message) => {
    expect(() => differentiate(exp(), options)).toThrow(message);
    expect(() => differentiate(exp(), options)).toThrow(AutodiffError);
  });

  it.each<[DataType, RegExp]>([
    ["int64", /expected input "x" to hold float16, float32 or float64, found int64/],
  ])("name an input of type %s", (type, message) => {
    const graph = createGraphBuilder({ graphName: "test", opsets: OPSETS });
    graph.input("x", type, [2]);
    graph.nodeWithOutputs("Cast", ["x"], ["y"], { name: "cast", attributes: { to: 1 } });
    graph.output("y", "float32", [2]);
    graph.nodeWithOutputs("Neg", ["x"], ["z"], { name: "neg" });
    graph.output("z", type, [2]);
    expect(() => differentiate(graph.toBytes(), y)).toThrow(message);
    expect(() => differentiate(graph.toBytes(), { outputs: ["z"], inputs: ["x"] })).toThrow(message);
  });

  it("name an output that holds no floats", () => {
    const graph = createGraphBuilder({ graphName: "test", opsets: OPSETS });
    graph.nodeWithOutputs("Shape", [graph.input("x", "float32", [2])], ["y"], { name: "shape" });
    graph.output("y", "int64", [1]);
    expect(() => differentiate(graph.toBytes(), y)).toThrow(
      /expected output "y" to hold float16, .* found int64/,
    );
  });

  it.each([11, 99])("refuse operator set %i", (version) => {
    const bytes = model({ x: [2] }, (graph) => ({ y: [node(graph, "Exp", ["x"]), [2]] }), { "": version });
    expect(() => differentiate(bytes, y)).toThrow(expect.objectContaining({ code: "unsupported-opset" }));
    expect(() => differentiate(bytes, y)).toThrow(
      `expected a model of operator set 16 to 23, found ${version}`,
    );
  });

  it("refuse bytes that are no model", () => {
    expect(() => differentiate(Uint8Array.of(255), y)).toThrow(/not an ONNX model/);
  });
});
