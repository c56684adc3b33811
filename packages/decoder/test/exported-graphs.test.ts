import { createGraphBuilder } from "@kvfold/onnx";
import { type ByteSource, bytesSource, decodeFloats, encodeFloats } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import { openGraphFile } from "../src/checkpoint/graph-file.js";
import { type Checkpoint, loadBlock, loadEmbedding, loadHead, openWeights } from "../src/index.js";
import { exportGenai } from "./exporters/genai.js";
import type { Exported } from "./exporters/graph-writer.js";
import { exportOptimum } from "./exporters/optimum.js";
import { renamed, renamings } from "./exporters/renamed.js";
import { exportModel, modelLogits } from "./support/export-model.js";
import { openFamily, readFields, readReference } from "./support/families.js";
import { GOLDEN_TOLERANCE, goldenError, MAX_POSITIONS } from "./support/golden-logits.js";

/** A folder as exporters leave it: the graph, its external data and the config of the model. */
function folderOf(name: string, exported: Exported, fields: Record<string, unknown> = readFields(name)) {
  const { bytes, externalData = [] } = exported;
  const files = new Map([
    ["onnx/model.onnx", bytes],
    ...externalData.map(({ path, data }) => [`onnx/${path}`, data] as const),
  ]);
  return {
    name,
    readText: async (file: string) => (file === "config.json" ? JSON.stringify(fields) : undefined),
    openBytes: async (file: string): Promise<ByteSource | undefined> => {
      const found = files.get(file);
      return found && bytesSource(found);
    },
  };
}

async function weightsOf(checkpoint: Checkpoint) {
  const blocks = [];
  for (let layer = 0; layer < checkpoint.config.shape.layers; layer++)
    blocks.push(await loadBlock(checkpoint, layer));
  return { embedding: await loadEmbedding(checkpoint), blocks, head: await loadHead(checkpoint) };
}

const cases = [
  ...["llama", "qwen3", "mistral", "smollm3", "gemma3_text"].map((family) => ({
    family,
    exporter: "genai",
    write: exportGenai,
  })),
  ...["llama", "qwen2", "qwen3", "smollm3", "olmo2"].map((family) => ({
    family,
    exporter: "optimum",
    write: exportOptimum,
  })),
  {
    family: "qwen2",
    exporter: "genai with projections apart",
    write: (checkpoint: Checkpoint) => exportGenai(checkpoint, { projections: "split" }),
  },
  {
    family: "qwen3",
    exporter: "genai with one tensor for embedding and head",
    write: (checkpoint: Checkpoint) => exportGenai(checkpoint, { embedding: "shared" }),
  },
];

describe("a graph of another exporter is read back as the checkpoint it was made from", () => {
  it.each(cases)("$family by $exporter", async ({ family, write }) => {
    const original = await openFamily(family);
    const exported = await write(original);
    // The graph is what it is taken for: a decoder that computes what transformers does.
    const [sequence] = readReference(family).sequences;
    expect(goldenError(await modelLogits(exported, sequence!.ids), sequence!)).toBeLessThan(GOLDEN_TOLERANCE);
    const read = await openWeights(folderOf(family, exported));
    expect(await weightsOf(read)).toEqual(await weightsOf(original));
    await read.close();
  });
});

describe.each(Object.keys(renamings))("a graph is read by its structure and shapes, under %s", (names) => {
  it.each(cases)("$family by $exporter", async ({ family, write }) => {
    const original = await openFamily(family);
    const read = await openWeights(folderOf(family, renamed(await write(original), names)));
    expect(await weightsOf(read)).toEqual(await weightsOf(original));
  });
});

/** The same numbers as float16 keeps them. */
const asHalves = (values: unknown): unknown => {
  if (values instanceof Float32Array) return decodeFloats(encodeFloats(values, "F16"), "F16");
  if (Array.isArray(values)) return values.map(asHalves);
  if (typeof values !== "object" || values === null) return values;
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, asHalves(value)]));
};

describe("weights that a graph has rounded come back as they are there", () => {
  it.each([
    ["qwen3", "genai", exportGenai],
    ["qwen3", "optimum", exportOptimum],
    ["smollm3", "genai", exportGenai],
    ["olmo2", "optimum", exportOptimum],
  ] as const)("%s, %s, float16", async (family, _, write) => {
    const original = await openFamily(family);
    const read = await openWeights(folderOf(family, await write(original, { floats: "float16" })));
    expect(await weightsOf(read)).toEqual(asHalves(await weightsOf(original)));
  });

  it.each([
    ["qwen3", "genai", exportGenai, {}],
    ["qwen3", "genai, one tensor for embedding and head", exportGenai, { embedding: "shared" }],
    ["qwen3", "optimum", exportOptimum, {}],
    ["smollm3", "genai", exportGenai, {}],
    ["olmo2", "optimum", exportOptimum, {}],
  ] as const)("%s, %s, four bits", async (family, _, write, options) => {
    const exported = await write(await openFamily(family), { products: "q4", ...options });
    const read = await openWeights(folderOf(family, exported));
    const { ids } = readReference(family).sequences[0]!;
    const found = await modelLogits(await exportModel(read, { maxPositions: MAX_POSITIONS }), ids);
    const expected = await modelLogits(exported, ids);
    const largest = Math.max(...expected.map(Math.abs));
    const error = Math.max(...found.map((value, index) => Math.abs(value - expected[index]!)));
    // Both compute in float32, in another order of operations.
    expect(error / largest).toBeLessThan(1e-4);
  });
});

const llama = openFamily("llama").then((checkpoint) => exportGenai(checkpoint));

describe("a graph that its config does not describe is refused, and the message says where", () => {
  const fields = readFields("llama");
  it.each([
    [
      "another activation",
      { hidden_act: "relu" },
      /expected relu of a product.*found Mul \(node \/model\/layers\.1\/mlp\/Mul\)/,
    ],
    ["fewer layers", { num_hidden_layers: 1 }, /expected rows of a constant table.*found SkipSimplified/],
    ["more layers", { num_hidden_layers: 3 }, /expected a sum of the stream.*layer 0.*found Gather/],
    [
      "another base of the rotation",
      { rope_parameters: { rope_type: "default", rope_theta: 5e5 } },
      /the rotation of layer 0 is off by .* base 500000/,
    ],
    [
      "another width",
      { intermediate_size: 128 },
      /the gate of layer 0 is 64 x 96, but config\.json asks for 64 x 128/,
    ],
    [
      "another epsilon",
      { rms_norm_eps: 1e-3 },
      /the last norm is rms x 9\.99\d+e-7 x 64, but config\.json asks for rms x 0\.001 x 64/,
    ],
    ["other heads", { num_key_value_heads: 4 }, /GroupQueryAttention \(node .*layers\.1/],
    ["another family", { model_type: "qwen3" }, /one projection to queries, keys and values of layer 1/],
    [
      "a scaled embedding",
      { model_type: "granite", embedding_multiplier: 12, attention_multiplier: 1 / 4 },
      /expected rows of the embedding times 12, found Gather \(node \/model\/embed_tokens/,
    ],
  ])("%s", async (_, change, message) => {
    const folder = folderOf("llama", await llama, { ...fields, ...change });
    await expect(openWeights(folder)).rejects.toThrow(message);
  });

  it("says that the soft cap of logits is missing", async () => {
    const exported = await exportGenai(await openFamily("gemma3_text"));
    const capped = { ...readFields("gemma3_text"), final_logit_softcapping: 30 };
    await expect(openWeights(folderOf("gemma3_text", exported, capped))).rejects.toThrow(
      /expected logits with a soft cap of 30, found MatMul \(node \/?lm_head/,
    );
  });

  it("says that the table of a rotation holds no numbers", async () => {
    const { bytes, externalData = [] } = await llama;
    const broken = externalData.map(({ path, data }) => ({ path, data: data.slice().fill(0xff) }));
    await expect(openWeights(folderOf("llama", { bytes, externalData: broken }))).rejects.toThrow(
      /the rotation of layer 0 is off by NaN/,
    );
  });

  it("says that a value is made twice, without following it in circles", async () => {
    const graph = createGraphBuilder({ graphName: "main_graph", opsets: { "": 18 } });
    const stream = graph.input("aa", "float32", ["batch", "sequence", 96]);
    graph.nodeWithOutputs("Identity", [stream], ["bb"], { name: "first" });
    graph.nodeWithOutputs("Identity", ["bb"], ["cc"], { name: "second" });
    graph.output("cc", "float32", ["batch", "sequence", 96]);
    const bytes = Buffer.from(
      Buffer.from(graph.toBytes()).toString("latin1").replaceAll("cc", "bb"),
      "latin1",
    );
    await expect(openWeights(folderOf("llama", { bytes }))).rejects.toThrow(
      /Identity \(node second\) makes bb, which is there already; export the graph again/,
    );
  });

  it("says that config.json is missing, or a file of external data", async () => {
    const folder = folderOf("llama", await llama);
    await expect(openWeights({ ...folder, readText: async () => undefined })).rejects.toThrow(
      /llama has no config\.json, which says what onnx\/model\.onnx computes; copy/,
    );
    const openBytes = async (file: string) => (file.includes("weight") ? undefined : folder.openBytes(file));
    await expect(openWeights({ ...folder, openBytes })).rejects.toThrow(
      /needs llama\/onnx\/weight-\d+, which is missing; copy all files of the model/,
    );
  });
});

describe("a graph on a failing disk", () => {
  const failure = Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
  const fail = async () => Promise.reject(failure);
  const unreadable = (file: RegExp) =>
    expect.objectContaining({ code: "unreadable-checkpoint", message: expect.stringMatching(file) });

  /** The folder with another `read` for the files that `broken` names. */
  const failing = async (broken: (file: string) => boolean) => {
    const folder = folderOf("llama", await llama);
    return {
      ...folder,
      openBytes: async (file: string) => {
        const source = await folder.openBytes(file);
        return source && broken(file) ? { ...source, read: fail } : source;
      },
    };
  };

  it("is named with the file, whichever cannot be read", async () => {
    const folder = folderOf("llama", await llama);
    await expect(openWeights({ ...folder, readText: fail })).rejects.toThrow(
      unreadable(/^llama\/config\.json: EIO/),
    );
    await expect(openWeights({ ...folder, openBytes: fail })).rejects.toThrow(
      unreadable(/^llama\/model\.safetensors: EIO/),
    );
    await expect(openWeights(await failing((file) => file.endsWith(".onnx")))).rejects.toThrow(
      unreadable(/^llama\/onnx\/model\.onnx: EIO/),
    );
    await expect(openWeights(await failing((file) => file.includes("weight")))).rejects.toThrow(
      unreadable(/^llama\/onnx\/weight-\d+: EIO/),
    );
  });

  it("is named when tensors are read later", async () => {
    let isBroken = false;
    const folder = folderOf("llama", await llama);
    const openBytes = async (file: string) => {
      const source = (await folder.openBytes(file))!;
      return (
        source && {
          ...source,
          read: (...range: [number, number]) => (isBroken ? fail() : source.read(...range)),
        }
      );
    };
    const checkpoint = await openWeights({ ...folder, openBytes });
    isBroken = true;
    await expect(loadBlock(checkpoint, 0)).rejects.toThrow(unreadable(/^llama\/onnx\/weight-\d+: EIO/));
  });
});

it("opens each file of a graph once, also for two who ask at once, and closes all", async () => {
  const folder = folderOf("llama", await llama);
  const counts = { opened: [] as string[], closed: 0 };
  const openBytes = async (file: string) => {
    counts.opened.push(file);
    const source = (await folder.openBytes(file))!;
    return { ...source, close: async () => void counts.closed++ };
  };
  const file = await openGraphFile({ ...folder, openBytes }, "onnx/model.onnx");
  const stored = [...file.view.initializers.values()].filter(({ location }) => location !== undefined);
  const twice = [stored[0]!, stored[0]!, ...stored];
  const [first, second] = await Promise.all(twice.map((tensor) => file.bytesOf(tensor)));
  expect(first).toEqual(second);
  expect(counts.opened.toSorted()).toEqual([...new Set(counts.opened)].toSorted());
  await file.close();
  expect(counts.closed).toBe(counts.opened.length);
});
