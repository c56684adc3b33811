import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import {
  type AttributeValue,
  createGraphBuilder,
  float,
  float32Value,
  floats,
  int64Value,
  memoryWeights,
  type NodeOptions,
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
    expect(graph.constant("c", float32Value([1], Float32Array.of(Number.NaN)))).toBe("c");
    expect(graph.constant("c", float32Value([1], Float32Array.of(Number.NaN)))).toBe("c");
    expect(readModel(graph.toBytes()).initializers.size).toBe(4);
  });

  it("tells constants of the same values and other dimensions apart", async () => {
    const graph = createGraphBuilder({ graphName: "test", opsets });
    for (const dims of [[4], [2, 2], [4, 1], [1, 2, 2]]) {
      const name = graph.int64([1, 2, 3, 4], dims);
      graph.nodeWithOutputs("Shape", [name], [`y${dims.length}${dims[0]}`], {
        name: `shape-${dims.join("x")}`,
      });
      graph.output(`y${dims.length}${dims[0]}`, "int64", [dims.length]);
    }
    const session = await ort.InferenceSession.create(graph.toBytes());
    const shapes = Object.values(await session.run({})).map(({ data }) =>
      Array.from(data as BigInt64Array, Number),
    );
    expect(shapes).toEqual([[4], [2, 2], [4, 1], [1, 2, 2]]);
  });

  it("refuses a constant that has another value already", () => {
    const graph = createGraphBuilder({ graphName: "test", opsets });
    graph.constant("c", float32Value([2], Float32Array.of(1, 2)));
    for (const other of [
      float32Value([2], Float32Array.of(1, 3)),
      float32Value([2, 1], Float32Array.of(1, 2)),
      int64Value([1], [1]),
    ]) {
      expect(() => graph.constant("c", other)).toThrow(/graph test: constant c has another value already/);
    }
    graph.input("x", "float32", [1]);
    expect(() => graph.constant("x", int64Value([1]))).toThrow(/x is defined twice/);
  });

  it("writes attributes of every kind, as ONNX Runtime reads them", async () => {
    const graph = createGraphBuilder({ graphName: "test", opsets });
    const constant = (name: string, attributes: NodeOptions["attributes"], dims: readonly number[]) => {
      graph.nodeWithOutputs("Constant", [], [name], { name: `constant-${name}`, attributes: attributes! });
      graph.output(name, name === "ints" ? "int64" : "float32", dims);
    };
    constant("float", { value_float: float(0.5) }, []);
    constant("floats", { value_floats: floats([0.5, -1e30]) }, [2]);
    constant("ints", { value_ints: [-3, 2 ** 62] }, [2]);
    constant("tensor", { value: float32Value([1, 2], Float32Array.of(3, 4)) }, [1, 2]);
    const bytes = graph.toBytes();
    const session = await ort.InferenceSession.create(bytes);
    const results = await session.run({});
    const values = Object.entries(results).map(([name, { dims, data }]) => [
      name,
      dims,
      Array.from(data as never),
    ]);
    expect(values).toEqual([
      ["float", [], [0.5]],
      ["floats", [2], [0.5, Math.fround(-1e30)]],
      ["ints", [2], [-3n, 2n ** 62n]],
      ["tensor", [1, 2], [3, 4]],
    ]);
    expect(readModel(bytes).nodes.map(({ attributes }) => attributes)).toEqual([
      { value_float: { float: 0.5 } },
      { value_floats: { floats: [0.5, Math.fround(-1e30)] } },
      { value_ints: [-3, 2 ** 62] },
      { value: { type: "float32", dims: [1, 2], bytes: new Uint8Array(Float32Array.of(3, 4).buffer) } },
    ]);
  });

  it.each<[string, AttributeValue, RegExp]>([
    [
      "a fraction",
      0.5,
      /node relu: attribute a \(float and floats .*\): expected an integer of 64 bits, found 0\.5/,
    ],
    ["a fraction in a list", [1, 0.5], /attribute a .* found 0\.5/],
    ["NaN", Number.NaN, /attribute a: expected an integer .* found NaN/],
    ["2^63", 2 ** 63, /attribute a.* found 9223372036854776000/],
    [
      "a float above float32",
      float(1e39),
      /attribute a: expected a number that float32 can hold, found 1e\+39/,
    ],
    ["a float above float32 in a list", floats([-1e39]), /float32 can hold, found -1e\+39/],
  ])("refuses %s as an attribute, and adds nothing", (_, value, message) => {
    const graph = createGraphBuilder({ graphName: "test", opsets });
    const x = graph.input("x", "float32", [1]);
    const relu = (attributes: NodeOptions["attributes"]) =>
      graph.node("Relu", [x], { name: "relu", attributes: attributes! });
    expect(() => relu({ a: value })).toThrow(message);
    expect(() => relu({ a: value })).toThrow(OnnxError);
    expect(relu({})).toBe("relu/output_0");
  });

  it("refuses integers that are none, wherever they are", () => {
    const graph = createGraphBuilder({ graphName: "test", opsets });
    const bytes = new Uint8Array(8);
    for (const build of [
      () => graph.int64([1, 0.5]),
      () => graph.int64([2 ** 63]),
      () => graph.input("x", "float32", [0.5]),
      () => graph.weight("w", { type: "float32", dims: [0.5], bytes }),
      () => createGraphBuilder({ graphName: "test", opsets: { "": 18.5 } }).toBytes(),
      () => createGraphBuilder({ graphName: "test", opsets, irVersion: Number.NaN }).toBytes(),
    ]) {
      expect(build).toThrow(OnnxError);
    }
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
  it("reads long strings, and text beyond ASCII", () => {
    const graph = createGraphBuilder({ graphName: "test", opsets });
    const long = "µ".repeat(300_000);
    graph.nodeWithOutputs("Custom", [], ["y"], {
      name: "node",
      attributes: { long, text: "\ufeffZürich 東京 🙂" },
    });
    const [node] = readModel(graph.toBytes()).nodes;
    expect(node!.attributes.text).toBe("\ufeffZürich 東京 🙂");
    expect(node!.attributes.long === long).toBe(true);
  });

  it("says of a Git LFS pointer what it is", () => {
    const text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";
    expect(() => readModel(new TextEncoder().encode(text))).toThrow(/is a Git LFS pointer; run git lfs pull/);
  });

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
    expect(() => tensorValue("float16", [2, 3], new Uint8Array(11))).toThrow("needs 12 bytes, found 11");
  });

  it.each([[[-1, -4]], [[0.5, 2]], [[Number.NaN]], [[2 ** 40, 2 ** 40]]])(
    "refuses the dimensions %j",
    (dims) => {
      expect(() => tensorValue("float32", dims, new Uint8Array(4))).toThrow(
        /whole numbers with a product below 2\^53/,
      );
    },
  );
});
