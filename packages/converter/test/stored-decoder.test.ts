import { type BlockWeights, type Dtype, onnxOutput, openStoredDecoder } from "@kvfold/decoder";
import { blockMaps } from "@kvfold/decoder/graph";
import { plainProducts } from "@kvfold/linalg";
import { readModel } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import { memoryFolder } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { familyNames, openFamily } from "../../decoder/test/support/families.js";
import { memorySink } from "../../decoder/test/support/memory-sink.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { forwardGraph } from "../../tuning/src/block-graphs.js";
import { createBlockMath, type FoldPlan, foldModel, methods, planFold } from "../src/index.js";
import { storedLayers } from "../src/tune/open-folded.js";
import { largestDifference, randomWindows } from "./support/numbers.js";

const windows = randomWindows(2, 12, { vocabulary: 96 });

/** Folds a small model into a graph, and reads that graph again. */
async function foldAndRead(family: string, options: Partial<planFold.Options> & { readonly method: string }) {
  const checkpoint = await openFamily(family);
  const { config } = checkpoint;
  const planned = planFold(config, {
    keep: "1/2",
    heal: "none",
    maxPositions: 32,
    budget: "uniform",
    ...options,
  });
  const plan = { ...planned, settled: true } as FoldPlan;
  const dtype = plan.dtypes[0] as Dtype;
  const files = new Map<string, Uint8Array>();
  const output = onnxOutput({ config, ...plan, dtype, open: memorySink(files) });
  const written: BlockWeights[] = [];
  const recorder = { ...output, addBlock: async (block: BlockWeights) => void written.push(block) };
  const math = createBlockMath(plainProducts);
  await foldModel({
    checkpoint,
    plan,
    outputs: [
      output,
      { ...recorder, begin: async () => {}, finish: async () => {}, abandon: async () => {} },
    ],
    provider: oneThreadProvider(),
    windows,
    math,
  });
  const folder = memoryFolder(new Map([...files].map(([name, bytes]) => [`onnx/${name}`, bytes])));
  const stored = await openStoredDecoder({ folder, config, dtype, layers: storedLayers(plan, checkpoint) });
  const read = await Promise.all(written.map((_, layer) => stored.block(layer)));
  return { config, written, read };
}

/** As texts, which compare fast; with one projection where keys and values share one: its sum is all that is stored. */
function comparable(block: BlockWeights): unknown {
  const { key, value, joint } = block.attention;
  const isShared = joint !== undefined && joint.encodeKeys === undefined;
  const weight = isShared ? key.weight.map((number, i) => number + value.weight[i]!) : key.weight;
  const attention = isShared
    ? { ...block.attention, key: { ...key, weight, bias: undefined }, value: undefined }
    : block.attention;
  const text = JSON.stringify({ ...block, attention }, (_, part) =>
    part instanceof Float32Array
      ? Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString("base64")
      : (part as unknown),
  );
  return JSON.parse(text);
}

const names = methods.map(({ name }) => name);

describe("a folded block is read back from its graph as it was written", () => {
  it.each(names)("%s", async (method) => {
    const { written, read } = await foldAndRead("llama", { method, keep: method === "none" ? "1" : "1/2" });
    expect(read.map(comparable)).toEqual(written.map(comparable));
  });

  // Norms of queries and keys, one for all heads and one for each; ALiBi; norms of the sum; one KV head.
  it.each([
    ["qwen3", "commuting"],
    ["qwen3", "lorc"],
    ["qwen3", "anchored"],
    ["stablelm-qknorm", "latent"],
    ["bloom", "latent"],
    ["bloom", "anchored"],
    ["falcon-mqa", "anchored"],
  ])("%s, %s", async (family, method) => {
    const { written, read } = await foldAndRead(family, { method });
    expect(read.map(comparable)).toEqual(written.map(comparable));
  });

  it.each(familyNames)("%s", async (family) => {
    const { written, read } = await foldAndRead(family, { method: "svd-w" });
    expect(read.map(comparable)).toEqual(written.map(comparable));
  });

  it("with the biases that healing adds", async () => {
    const { written, read } = await foldAndRead("llama", { method: "latent", heal: "both" });
    expect(written[0]!.mlp.down.bias).toBeDefined();
    expect(read.map(comparable)).toEqual(written.map(comparable));
  });

  it("expands keys where chunks have one slot", async () => {
    const { written, read } = await foldAndRead("llama", { method: "anchored", chunk: 1 });
    expect(read.map(comparable)).toEqual(written.map(comparable));
  });
});

it.each(["fp16", "q4"] as const)("a graph in %s gives what it rounded to", async (dtype) => {
  const { written, read } = await foldAndRead("llama", { method: "latent", dtypes: [dtype] });
  for (const [layer, block] of read.entries()) {
    const exact = written[layer]!.mlp.up.weight;
    const largest = Math.max(...exact.map(Math.abs));
    // Float16 has 11 bits; codes of four bits lie an eighth of the largest of their block apart.
    expect(largestDifference(block.mlp.up.weight, exact) / largest).toBeLessThan(
      dtype === "fp16" ? 2 ** -11 : 1 / 8,
    );
  }
});

it.each(names)("the maps of a block of %s have the names and sizes of its graph", async (method) => {
  const { config, read } = await foldAndRead("llama", { method, keep: method === "none" ? "1" : "1/2" });
  const { initializers } = readModel(forwardGraph({ config, weights: read[0]!, length: 8 }).bytes);
  const maps = blockMaps(read[0]!);
  expect(maps.map(({ name, dims }) => [name, dims])).toEqual(
    maps.map(({ name }) => [name, initializers.get(name)?.dims]),
  );
  for (const { dims, data } of maps) expect(dims.reduce((a, b) => a * b)).toBe(data.length);
});
