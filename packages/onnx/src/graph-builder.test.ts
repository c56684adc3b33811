import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import {
  createGraphBuilder,
  float,
  float32Value,
  memoryWeights,
  OnnxError,
  readModel,
  tensorValue,
} from "./index.js";

const opsets = { "": 18 };

function scaledProduct(weights?: ReturnType<typeof memoryWeights>) {
  const graph = createGraphBuilder({ graphName: "test", opsets, ...(weights && { weights }) });
  const x = graph.input("x", "float32", ["rows", 16]);
  const w = graph.weight(
    "w",
    float32Value(
      [16, 8],
      Float32Array.from({ length: 128 }, (_, index) => index),
    ),
  );
  const product = graph.node("Gemm", [x, w], { name: "product", attributes: { alpha: float(0.5) } });
  graph.nodeWithOutputs("Identity", [product], ["y"], { name: "result" });
  graph.output("y", "float32", ["rows", 8]);
  return graph;
}

async function runOnes(bytes: Uint8Array, externalData: readonly { path: string; data: Uint8Array }[]) {
  const session = await ort.InferenceSession.create(bytes, { externalData: [...externalData] });
  const { y } = await session.run({ x: new ort.Tensor("float32", new Float32Array(32).fill(1), [2, 16]) });
  return y!;
}

/** Sum over rows of `0.5 * w[row, col]` with `w[row, col] = 8 row + col`: `0.5 * (8 * 120 + 16 col)`, exact in float32. */
const expected = Array.from({ length: 16 }, (_, index) => 480 + 8 * (index % 8));

describe("createGraphBuilder", () => {
  it("builds a model that ONNX Runtime runs, weights inside", async () => {
    const y = await runOnes(scaledProduct().toBytes(), []);
    expect(y.dims).toEqual([2, 8]);
    expect([...(y.data as Float32Array)]).toEqual(expected);
  });

  it("hands weights to ONNX Runtime from memory", async () => {
    const weights = memoryWeights();
    const bytes = scaledProduct(weights).toBytes();
    expect(weights.externalData.map(({ data }) => data.byteLength)).toEqual([512]);
    expect([...((await runOnes(bytes, weights.externalData)).data as Float32Array)]).toEqual(expected);
  });

  it("reads back what it wrote", () => {
    const view = readModel(scaledProduct().toBytes());
    expect(view.irVersion).toBe(10);
    expect(view.opsets).toEqual(opsets);
    expect(view.inputs).toEqual([{ name: "x", type: "float32", dims: ["rows", 16] }]);
    expect(view.outputs).toEqual([{ name: "y", type: "float32", dims: ["rows", 8] }]);
    expect(view.nodes[0]).toEqual({
      operator: "Gemm",
      domain: "",
      name: "product",
      inputs: ["x", "w"],
      outputs: ["product/output_0"],
      attributes: { alpha: { float: 0.5 } },
    });
    expect(view.initializers.get("w")?.value?.bytes.byteLength).toBe(512);
  });

  it("shares equal constants", () => {
    const graph = createGraphBuilder({ graphName: "test", opsets });
    expect(graph.int64([0, -1])).toBe(graph.int64([0, -1]));
    expect(graph.int64([1], [])).not.toBe(graph.int64([1]));
  });

  it("refuses unknown values and names used twice", () => {
    const graph = createGraphBuilder({ graphName: "test", opsets });
    graph.input("x", "float32", [1]);
    expect(() => graph.node("Relu", ["nowhere"], { name: "relu" })).toThrow(/relu uses nowhere/);
    expect(() => graph.input("x", "float32", [1])).toThrow(OnnxError);
    graph.node("Relu", ["x"], { name: "again" });
    expect(() => graph.node("Relu", ["x"], { name: "again" })).toThrow(/again is defined twice/);
    expect(() => graph.output("missing", "float32", [1])).toThrow(/missing/);
  });
});

describe("readModel", () => {
  it("reports bytes that are no model", () => {
    for (const bytes of [
      new Uint8Array(0),
      Uint8Array.of(255, 255, 255),
      scaledProduct().toBytes().subarray(0, 99),
    ]) {
      expect(() => readModel(bytes)).toThrow(OnnxError);
    }
  });
});

describe("tensorValue", () => {
  it("refuses byte counts that do not fit the dimensions", () => {
    expect(() => tensorValue("float16", [2, 3], new Uint8Array(11))).toThrow("needs 12 bytes, got 11");
  });
});
