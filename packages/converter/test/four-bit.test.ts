import { openCheckpoint } from "@kvfold/decoder";
import { readModel } from "@kvfold/onnx";
import { createCausalLM, perplexity } from "@kvfold/runtime";
import {
  bytesSource,
  encodeFloats,
  parseHeader,
  readFloats,
  serializeSafetensors,
} from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import { quantiseRows } from "../../decoder/src/quantisation/four-bit-blocks.js";
import { dequantise } from "../../decoder/test/reference/four-bit.js";
import {
  memoryFolder,
  syntheticFiles,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { openModel, readWindows } from "./support/assets.js";
import { foldedLogits, foldInMemory, withSession } from "./support/fold-in-memory.js";
import { LOGIT_TOLERANCE, largestDifference } from "./support/numbers.js";

const Q4 = "model_q4.onnx";
const tokens = [3, 1, 4, 1, 5, 9, 2, 6];
const tiedLlama = { ...tinyLlama, tie_word_embeddings: true };

const openFiles = (config: Readonly<Record<string, unknown>>, weights: Uint8Array) =>
  openCheckpoint(
    memoryFolder(
      new Map<string, string | Uint8Array>([
        ["config.json", JSON.stringify(config)],
        ["model.safetensors", weights],
      ]),
    ),
  );

/** All projections of a checkpoint replaced by what their four bits stand for; embeddings are left alone. */
async function dequantiseProjections(weights: Uint8Array): Promise<Uint8Array> {
  const source = bytesSource(weights);
  const tensors = [];
  for (const [name, info] of (await parseHeader(source)).tensors) {
    const values = await readFloats(source, info);
    const [rows, columns] = info.shape;
    const isProjection = columns !== undefined && !name.includes("embed");
    const data = isProjection
      ? Float32Array.from(dequantise(quantiseRows(values, rows!, columns), rows!, columns))
      : values;
    tensors.push({ name, dtype: "F32" as const, shape: info.shape, data: encodeFloats(data, "F32") });
  }
  return serializeSafetensors(tensors);
}

describe.each([
  ["Llama", tinyLlama],
  ["Llama with a tied head", tiedLlama],
  ["BLOOM", tinyBloom],
])("four bits of %s", (_, config) => {
  it("are those of its projections, and of a head of its own", async () => {
    const weights = syntheticFiles({ config }).get("model.safetensors") as Uint8Array;
    const options = { keep: "1", dtypes: ["fp32", "q4"] } as const;
    const quantised = await foldInMemory(await openFiles(config, weights), options);
    const replaced = await foldInMemory(
      await openFiles(config, await dequantiseProjections(weights)),
      options,
    );
    const logits = await foldedLogits(quantised, tokens, Q4);
    expect(largestDifference(logits, await foldedLogits(replaced, tokens))).toBeLessThan(LOGIT_TOLERANCE);
    expect(largestDifference(logits, await foldedLogits(quantised, tokens))).toBeGreaterThan(LOGIT_TOLERANCE);
  });
});

/** The products of four bits of both layers, whatever their order. */
const ALL_PROJECTIONS = [0, 1]
  .flatMap((layer) =>
    [
      "attn/q_proj",
      "attn/k_proj",
      "attn/v_proj",
      "attn/o_proj",
      "mlp/up_proj",
      "mlp/gate_proj",
      "mlp/down_proj",
    ].map((name) => `/model/layers.${layer}/${name}/MatMul_Q4`),
  )
  .sort();

const quantisedProducts = (nodes: ReturnType<typeof readModel>["nodes"]): readonly string[] =>
  nodes
    .filter(({ operator }) => operator === "MatMulNBits")
    .map(({ name }) => name)
    .sort();

it("a folded model keeps the products behind the rotation, norms and biases in float32", async () => {
  const weights = syntheticFiles({ config: tiedLlama }).get("model.safetensors") as Uint8Array;
  const { files } = await foldInMemory(await openFiles(tiedLlama, weights), {
    keep: "1/2",
    method: "svd-w",
    keySpan: 4,
    valueSpan: 4,
    dtypes: ["q4"],
  });
  const { nodes, initializers } = readModel(files.get(Q4)!);
  const quantised = quantisedProducts(nodes);
  expect(quantised).toEqual(ALL_PROJECTIONS);
  const codes = [...initializers.values()].filter(({ type }) => type === "uint8");
  expect(codes).toHaveLength(quantised.length);
  const floats = [...initializers.values()].filter(({ type }) => type === "float16" || type === "float32");
  expect(floats.every(({ type }) => type === "float32")).toBe(true);
  expect(initializers.get("model.layers.0.attn.k_basis.encode")?.type).toBe("float32");
  expect([...files.keys()]).toEqual([
    `${Q4}_data`,
    Q4,
    ...["_delta.onnx", "_policy.onnx"].map((end) => Q4.replace(".onnx", end)),
  ]);
});

it("a joint latent keeps its products in float32, whose projections are in four bits", async () => {
  const weights = syntheticFiles({ config: tiedLlama }).get("model.safetensors") as Uint8Array;
  const { files } = await foldInMemory(await openFiles(tiedLlama, weights), {
    keep: "1/2",
    method: "anchored",
    heal: "none",
    windows: [Int32Array.from(tokens)],
    dtypes: ["q4"],
  });
  const { nodes, initializers } = readModel(files.get(Q4)!);
  expect(quantisedProducts(nodes)).toEqual(ALL_PROJECTIONS);
  const floats = [...initializers.values()].filter(({ type }) => type === "float16" || type === "float32");
  expect(floats.every(({ type }) => type === "float32")).toBe(true);
});

describe("four bits of prose-6m", () => {
  it("cost little of its perplexity, and take less than a third of its bytes", async () => {
    const folded = await foldInMemory(await openModel("prose-6m"), { keep: "1", dtypes: ["fp32", "q4"] });
    const windows = await readWindows({ text: "validation", count: 4, length: 257 });
    const measure = (file: string) =>
      withSession(
        folded,
        async (session) => (await perplexity(createCausalLM(session), windows)).perplexity,
        file,
      );
    const ratio = (await measure(Q4)) / (await measure("model.onnx"));
    expect(ratio).toBeGreaterThan(1);
    expect(ratio).toBeLessThan(1.1);
    const bytes = (file: string) => folded.files.get(`${file}_data`)!.byteLength;
    expect(bytes(Q4) / bytes("model.onnx")).toBeLessThan(0.34);
  });
});
