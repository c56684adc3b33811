import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, TensorProto_DataType, TensorProtoSchema } from "onnx-buf";
import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import {
  createGraphBuilder,
  extendModel,
  extractModel,
  float32Value,
  OnnxError,
  readModel,
  valuesReadBy,
} from "./index.js";

/** `y = |x| + 1` by way of `size`, with documentation that `readModel` does not show. */
function model(): Uint8Array {
  const graph = createGraphBuilder({ graphName: "model", opsets: { "": 18 }, metadata: { author: "us" } });
  const x = graph.input("x", "float32", ["rows", "?"]);
  graph.nodeWithOutputs("Abs", [x], ["size"], { name: "abs" });
  const one = graph.weight("one", float32Value([1], Float32Array.of(1)));
  graph.nodeWithOutputs("Add", ["size", one], ["y"], { name: "add" });
  graph.output("y", "float32", ["rows", "?"]);
  return graph.toBytes();
}

async function run(bytes: Uint8Array, feeds: Readonly<Record<string, readonly number[]>>) {
  const session = await ort.InferenceSession.create(bytes);
  const tensors = Object.entries(feeds).map(([name, data]) => [
    name,
    new ort.Tensor("float32", Float32Array.from(data), [1, data.length]),
  ]);
  const outputs = await session.run(Object.fromEntries(tensors));
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => [name, [...(data as Float32Array)]]),
  );
}

describe("extendModel", () => {
  it("adds to a model and keeps what it had", async () => {
    const graph = extendModel(model());
    graph.nodeWithOutputs("Mul", ["y", "size"], ["z"], { name: "mul" });
    graph.output("z", "float32");
    expect(await run(graph.toBytes(), { x: [-2, 3] })).toEqual({ y: [3, 4], z: [6, 12] });
    const { metadataProps } = fromBinary(ModelProtoSchema, graph.toBytes());
    expect(metadataProps).toMatchObject([{ key: "author", value: "us" }]);
  });

  it("shares constants with the model, and refuses its names and unknown values", () => {
    const once = extendModel(model());
    once.int64([0]);
    const graph = extendModel(once.toBytes());
    expect(graph.int64([0])).toBe("constants/int64/[0]");
    expect(() => graph.node("Neg", ["y"], { name: "add" })).toThrow(/node add is defined twice/);
    expect(() => graph.input("size", "float32", [])).toThrow(/value size is defined twice/);
    expect(() => graph.node("Neg", ["q"], { name: "neg" })).toThrow(/uses q, which nothing before it/);
  });

  it("refuses what is no model", () => {
    expect(() => extendModel(Uint8Array.of(255))).toThrow(/^extendModel: the bytes are not an ONNX model/);
  });
});

describe("extractModel", () => {
  it("starts at a value inside and leaves out what is not needed", async () => {
    const part = extractModel(model(), {
      inputs: [{ name: "size", type: "float32" }],
      outputs: [{ name: "y", type: "float32", dims: [1, 2] }],
    });
    const { nodes, inputs, outputs, initializers } = readModel(part);
    expect(nodes.map(({ name }) => name)).toEqual(["add"]);
    expect(inputs).toEqual([{ name: "size", type: "float32", dims: undefined }]);
    expect(outputs).toEqual([{ name: "y", type: "float32", dims: [1, 2] }]);
    expect([...initializers.keys()]).toEqual(["one"]);
    expect(await run(part, { size: [-2, 3] })).toEqual({ y: [-1, 4] });
  });

  it("leaves out inputs that nothing needs", () => {
    const part = extractModel(model(), {
      inputs: [{ name: "y", type: "float32" }],
      outputs: [{ name: "size", type: "float32" }],
    });
    expect(readModel(part).inputs).toEqual([{ name: "x", type: "float32", dims: ["rows", "?"] }]);
  });

  it("names a value that the model lacks", () => {
    const outputs = [{ name: "q", type: "float32" as const }];
    expect(() => extractModel(model(), { outputs })).toThrow(OnnxError);
    expect(() => extractModel(model(), { outputs })).toThrow(/graph model to have .*, found none called q/);
  });
});

it("valuesReadBy sees what branches read", () => {
  const graph = createGraphBuilder({ graphName: "choice", opsets: { "": 18 } });
  const flag = graph.input("flag", "bool", []);
  const x = graph.input("x", "float32", []);
  const branch = graph.branch("branch");
  branch.output(branch.node("Neg", [branch.node("Abs", [x], { name: "abs" })], { name: "neg" }), "float32");
  const other = graph.branch("other");
  other.output(other.node("Identity", [flag], { name: "identity" }), "bool");
  graph.node("If", [flag], {
    name: "if",
    attributes: { then_branch: branch.toAttribute(), else_branch: other.toAttribute() },
  });
  expect(valuesReadBy(readModel(graph.toBytes()).nodes[0]!)).toEqual(["flag", "x"]);
});

it.each([
  ["FLOAT", { floatData: [1.5, -2] }, Float32Array.of(1.5, -2)],
  ["DOUBLE", { doubleData: [1.5, -2] }, Float64Array.of(1.5, -2)],
  ["INT64", { int64Data: [3n, -1n] }, BigInt64Array.of(3n, -1n)],
  ["INT32", { int32Data: [3, -1] }, Int32Array.of(3, -1)],
  ["FLOAT16", { int32Data: [0x3e00, 0xc000] }, Uint16Array.of(0x3e00, 0xc000)],
  ["BOOL", { int32Data: [0, 1] }, Uint8Array.of(0, 1)],
] as const)("readModel reads initializers of %s that are lists of numbers", (type, list, expected) => {
  const decoded = fromBinary(ModelProtoSchema, model());
  const proto = { name: "list", dims: [2n], dataType: TensorProto_DataType[type] };
  const listed = Object.fromEntries(Object.entries(list).map(([key, numbers]) => [key, [...numbers]]));
  decoded.graph!.initializer.push(create(TensorProtoSchema, { ...proto, ...listed }));
  const { initializers } = readModel(toBinary(ModelProtoSchema, decoded));
  expect([...initializers.get("list")!.value!.bytes]).toEqual([...new Uint8Array(expected.buffer)]);
});
