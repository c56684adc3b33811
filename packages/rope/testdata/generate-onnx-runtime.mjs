// Writes onnx-runtime.json: inputs and outputs of ONNX Runtime's com.microsoft.RotaryEmbedding (CPU, float32).
//
//     node generate-onnx-runtime.mjs
//
// Takes onnxruntime-node and onnx-buf from the sibling package that depends on them, so that this one depends on nothing.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { resolve } = createRequire(new URL("../../onnx/package.json", import.meta.url));
const load = (name) => import(pathToFileURL(resolve(name)));
const { default: onnxRuntime } = await load("onnxruntime-node");
const onnx = await load("onnx-buf");
const { create, toBinary } = await import(
  pathToFileURL(createRequire(resolve("onnx-buf")).resolve("@bufbuild/protobuf"))
);

const { FLOAT, INT64 } = onnx.TensorProto_DataType;

const cases = [
  { name: "half-split", layout: "half-split", tokens: 4, heads: 2, headDim: 8, rotaryDim: 8, positions: [0, 1, 2, 3] },
  { name: "interleaved", layout: "interleaved", tokens: 3, heads: 2, headDim: 8, rotaryDim: 8, positions: [5, 6, 7] },
  { name: "half-split, gaps", layout: "half-split", tokens: 3, heads: 3, headDim: 4, rotaryDim: 4, positions: [9, 2, 30] },
  { name: "half-split, partial", layout: "half-split", tokens: 3, heads: 2, headDim: 16, rotaryDim: 8, positions: [1, 4, 6] },
  { name: "interleaved, partial", layout: "interleaved", tokens: 3, heads: 2, headDim: 16, rotaryDim: 8, positions: [1, 4, 6] },
];

/** Uniform in [-1, 1), from a linear congruential generator so that the file can be made again. */
function makeRandom(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

function makeTables(rotaryDim, length) {
  const width = rotaryDim / 2;
  const angle = (index) => Math.floor(index / width) * 10_000 ** ((-2 * (index % width)) / rotaryDim);
  const fill = (wave) => Float32Array.from({ length: length * width }, (_, index) => wave(angle(index)));
  return { cos: fill(Math.cos), sin: fill(Math.sin), width, length };
}

function tensorInfo(name, elemType, dims) {
  const dim = dims.map((size) => create(onnx.TensorShapeProto_DimensionSchema, { value: { case: "dimValue", value: BigInt(size) } }));
  const value = create(onnx.TypeProto_TensorSchema, { elemType, shape: create(onnx.TensorShapeProtoSchema, { dim }) });
  return create(onnx.ValueInfoProtoSchema, { name, type: create(onnx.TypeProtoSchema, { value: { case: "tensorType", value } }) });
}

function integerAttribute(name, value) {
  return create(onnx.AttributeProtoSchema, { name, type: onnx.AttributeProto_AttributeType.INT, i: BigInt(value) });
}

function buildModel({ layout, tokens, heads, headDim, rotaryDim }, { width, length }) {
  const partial = rotaryDim < headDim ? { num_heads: heads, rotary_embedding_dim: rotaryDim } : { num_heads: heads };
  const attributes = { interleaved: layout === "interleaved" ? 1 : 0, ...partial };
  const node = create(onnx.NodeProtoSchema, {
    opType: "RotaryEmbedding",
    domain: "com.microsoft",
    input: ["x", "position_ids", "cos_cache", "sin_cache"],
    output: ["y"],
    attribute: Object.entries(attributes).map(([name, value]) => integerAttribute(name, value)),
  });
  const graph = create(onnx.GraphProtoSchema, {
    name: "rope",
    node: [node],
    input: [
      tensorInfo("x", FLOAT, [1, tokens, heads * headDim]),
      tensorInfo("position_ids", INT64, [1, tokens]),
      tensorInfo("cos_cache", FLOAT, [length, width]),
      tensorInfo("sin_cache", FLOAT, [length, width]),
    ],
    output: [tensorInfo("y", FLOAT, [1, tokens, heads * headDim])],
  });
  const opsetImport = [["", 17], ["com.microsoft", 1]].map(([domain, version]) =>
    create(onnx.OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
  );
  return toBinary(onnx.ModelProtoSchema, create(onnx.ModelProtoSchema, { irVersion: 8n, graph, opsetImport }));
}

async function runCase(example, seed) {
  const { tokens, heads, headDim, rotaryDim, positions } = example;
  const tables = makeTables(rotaryDim, 32);
  const session = await onnxRuntime.InferenceSession.create(buildModel(example, tables));
  const x = Float32Array.from({ length: tokens * heads * headDim }, makeRandom(seed));
  const tensor = (type, data, dims) => new onnxRuntime.Tensor(type, data, dims);
  const { y } = await session.run({
    x: tensor("float32", x, [1, tokens, heads * headDim]),
    position_ids: tensor("int64", BigInt64Array.from(positions, BigInt), [1, tokens]),
    cos_cache: tensor("float32", tables.cos, [tables.length, tables.width]),
    sin_cache: tensor("float32", tables.sin, [tables.length, tables.width]),
  });
  return { ...example, theta: 10_000, x: Array.from(x), y: Array.from(y.data) };
}

const results = await Promise.all(cases.map((example, index) => runCase(example, index + 1)));
const lines = results.map((result) => JSON.stringify(result)).join(",\n");
writeFileSync(new URL("onnx-runtime.json", import.meta.url), `[\n${lines}\n]\n`);
