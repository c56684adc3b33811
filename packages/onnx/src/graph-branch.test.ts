import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { createGraphBuilder, float32Value, readModel } from "./index.js";

/** `y = flag ? 2 x : x + 1`, where x is doubled by a weight that the branch adds. */
function choice() {
  const graph = createGraphBuilder({ graphName: "choice", opsets: { "": 18 } });
  const flag = graph.input("flag", "bool", []);
  const x = graph.input("x", "float32", ["n"]);
  const doubled = graph.branch("doubled");
  const two = doubled.weight("two", float32Value([1], Float32Array.of(2)));
  doubled.output(doubled.node("Mul", [x, two], { name: "mul" }), "float32", ["n"]);
  const next = graph.branch("next");
  const one = next.constant("one", float32Value([1], Float32Array.of(1)));
  next.output(next.node("Add", [x, one], { name: "add" }), "float32", ["n"]);
  graph.nodeWithOutputs("If", [flag], ["y"], {
    name: "if",
    attributes: { then_branch: doubled.toAttribute(), else_branch: next.toAttribute() },
  });
  graph.output("y", "float32", ["n"]);
  return graph;
}

describe("branches of a graph", () => {
  it("run in ONNX Runtime", async () => {
    const session = await ort.InferenceSession.create(choice().toBytes());
    const x = new ort.Tensor("float32", Float32Array.of(3, 5), [2]);
    const run = async (flag: boolean) => {
      const { y } = await session.run({ x, flag: new ort.Tensor("bool", [flag], []) });
      return [...(y!.data as Float32Array)];
    };
    expect(await run(true)).toEqual([6, 10]);
    expect(await run(false)).toEqual([4, 6]);
  });

  it("are read back, their tensors among those of the model", () => {
    const { nodes, initializers } = readModel(choice().toBytes());
    const { then_branch: branch } = nodes[0]!.attributes;
    expect(branch).toEqual({
      graph: {
        name: "doubled",
        nodes: [
          {
            operator: "Mul",
            domain: "",
            name: "mul",
            inputs: ["x", "two"],
            outputs: ["mul/output_0"],
            attributes: {},
          },
        ],
        inputs: [],
        outputs: [{ name: "mul/output_0", type: "float32", dims: ["n"] }],
        initializers: new Map(),
      },
    });
    expect([...initializers.keys()]).toEqual(["two", "one"]);
  });

  it("keep their values from each other and from the graph around them", () => {
    const graph = createGraphBuilder({ graphName: "test", opsets: { "": 18 } });
    const x = graph.input("x", "float32", ["n"]);
    const [one, other] = [graph.branch("one"), graph.branch("other")];
    const inside = one.node("Neg", [x], { name: "neg" });
    const message = /uses neg\/output_0, which nothing before it defines/;
    expect(() => other.node("Abs", [inside], { name: "abs" })).toThrow(message);
    expect(() => graph.node("Abs", [inside], { name: "outer" })).toThrow(message);
    expect(() => graph.node("Neg", [x], { name: "neg" })).toThrow("node neg is defined twice");
    expect(one.branch("deeper").node("Abs", [inside], { name: "deep" })).toBe("deep/output_0");
  });

  it("see what the graph around them gains before they end", () => {
    const graph = createGraphBuilder({ graphName: "test", opsets: { "": 18 } });
    const branch = graph.branch("branch");
    const late = graph.input("late", "float32", ["n"]);
    expect(branch.node("Neg", [late], { name: "neg" })).toBe("neg/output_0");
  });

  it("cannot be written with tensors of their own, or with values of unknown types", () => {
    const graph = createGraphBuilder({ graphName: "test", opsets: { "": 18 } });
    const { graph: empty } = graph.branch("empty").toAttribute();
    const add = (name: string, change: Partial<typeof empty>) =>
      graph.node("If", [], { name, attributes: { then_branch: { graph: { ...empty, ...change } } } });
    const tensor = { name: "w", type: undefined, dims: [], location: undefined, value: undefined };
    expect(() => add("a", { initializers: new Map([["w", tensor]]) })).toThrow(
      "graph test: node a: attribute then_branch: expected a graph without initializers, found 1",
    );
    expect(() => add("b", { outputs: [{ name: "y", type: undefined, dims: [] }] })).toThrow(
      "attribute then_branch: value y has an unknown type",
    );
  });
});
