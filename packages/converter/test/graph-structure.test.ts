import { dtypes } from "@kvfold/decoder";
import { type GraphView, readModel } from "@kvfold/onnx";
import { describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { onnxDtypes } from "../src/plan/stored-dtype.js";
import { foldInMemory } from "./support/fold-in-memory.js";
import { randomWindows } from "./support/numbers.js";

const open = (config: Readonly<Record<string, unknown>>) => () => syntheticCheckpoint({ config });
const llama = open(tinyLlama);
const mistral = open({ ...tinyLlama, model_type: "mistral", sliding_window: 9 });
const bloom = open(tinyBloom);

type Fold = readonly [name: string, open: typeof llama, options: foldInMemory.Options];
const grouped: Fold = ["Llama grouped", llama, { keep: "1/2", method: "svd-w" }];
const spans: Fold = [
  "Llama with the paper's spans",
  llama,
  { keep: "1/2", method: "svd-w", keySpan: 4, valueSpan: 2 },
];
const expanded: Fold = ["Llama by lorc", llama, { keep: "1/2", method: "lorc" }];
const folds: readonly Fold[] = [
  ["Llama unfolded", llama, { keep: "1" }],
  grouped,
  spans,
  ["Llama grouped, float16", llama, { keep: "1/2", method: "svd-w", dtypes: ["fp16"] }],
  ["Mistral with a window", mistral, { keep: "1/2", method: "svd-w" }],
  ["BLOOM folded", bloom, { keep: "1/2", method: "svd-w" }],
  expanded,
  ["Llama grouped, four bits", llama, { keep: "1/2", method: "svd-w", dtypes: ["q4"] }],
  ["Llama by lorc, float16", llama, { keep: "1/2", method: "lorc", dtypes: ["fp16"] }],
];

async function graphOf([, openCheckpoint, options]: Fold): Promise<GraphView> {
  const { files } = await foldInMemory(await openCheckpoint(), options);
  return readModel(files.get(dtypes[onnxDtypes(options.dtypes ?? ["fp32"])[0]!].fileName)!);
}

const attentionNodes = ({ nodes }: GraphView) =>
  nodes.filter(({ operator }) => operator === "GroupQueryAttention");

const cacheDims = ({ inputs, outputs }: GraphView) =>
  [...inputs, ...outputs]
    .filter(({ name }) => /^(past_key_values|present)\./.test(name))
    .map(({ name, dims }) => [name, dims]);

/** What ONNX Runtime 1.21, the oldest that transformers.js 3.8 pins, can load. */
describe.each(folds)("the graph of %s", (...fold) => {
  it("uses operator sets and a format that ONNX Runtime 1.21 reads", async () => {
    const graph = await graphOf(fold);
    expect(graph.opsets).toEqual({ "": 18, "com.microsoft": 1 });
    expect(graph.irVersion).toBeLessThanOrEqual(10);
  });

  it("uses operators that every execution provider has", async () => {
    const graph = await graphOf(fold);
    const microsoft = graph.nodes.filter(({ domain }) => domain === "com.microsoft");
    const known = ["GroupQueryAttention", "RotaryEmbedding", "FastGelu", "Gelu", "MatMulNBits"];
    expect(known).toEqual(expect.arrayContaining(microsoft.map(({ operator }) => operator)));
    expect([...new Set(graph.nodes.map(({ domain }) => domain))].toSorted()).toEqual(
      microsoft.length === 0 ? [""] : ["", "com.microsoft"],
    );
  });

  it("gives GroupQueryAttention inputs 0 to 6 and attributes of 1.21 alone", async () => {
    for (const { inputs, attributes } of attentionNodes(await graphOf(fold))) {
      expect(inputs).toHaveLength(7);
      expect(["num_heads", "kv_num_heads", "scale", "do_rotary", "local_window_size"]).toEqual(
        expect.arrayContaining(Object.keys(attributes)),
      );
    }
  });

  it("names its inputs and outputs as transformers.js does", async () => {
    const { inputs, outputs } = await graphOf(fold);
    const positions = fold[1] === bloom ? [] : ["position_ids"];
    const sides = [0, 1].flatMap((layer) => [`${layer}.key`, `${layer}.value`]);
    expect(inputs.map(({ name }) => name)).toEqual([
      "input_ids",
      "attention_mask",
      ...positions,
      ...sides.map((side) => `past_key_values.${side}`),
    ]);
    expect(outputs.map(({ name }) => name)).toEqual(["logits", ...sides.map((side) => `present.${side}`)]);
  });

  it("declares heads and head sizes as numbers, batch and length by name", async () => {
    for (const [, dims] of cacheDims(await graphOf(fold))) {
      expect((dims as unknown[]).map((dim) => typeof dim)).toEqual(["string", "number", "string", "number"]);
    }
  });

  it("computes logits in float32 and caches in its float type", async () => {
    const { inputs, outputs } = await graphOf(fold);
    const type = dtypes[onnxDtypes(fold[2].dtypes ?? ["fp32"])[0]!].floatType;
    const [logits, ...presents] = outputs;
    expect(logits).toEqual({
      name: "logits",
      type: "float32",
      dims: ["batch_size", "sequence_length", 61],
    });
    const pasts = inputs.filter(({ name }) => name.startsWith("past_key_values."));
    expect(new Set([...pasts, ...presents].map((value) => value.type))).toEqual(new Set([type]));
  });
});

describe("attention", () => {
  it("of folded heads keeps the scale of the unfolded head", async () => {
    const nodes = attentionNodes(
      await graphOf(["", llama, { keep: "1/2", method: "svd-w", keySpan: 4, valueSpan: 4 }]),
    );
    expect(nodes).toHaveLength(2);
    // Four heads of 16 share one of 32: 1/sqrt(16), not 1/sqrt(32).
    for (const { attributes } of nodes) {
      expect(attributes).toEqual({ num_heads: 4, kv_num_heads: 1, scale: { float: 0.25 }, do_rotary: 0 });
    }
  });

  it("has a window only where the model has one", async () => {
    const windows = async (fold: Fold) =>
      attentionNodes(await graphOf(fold)).map(({ attributes }) => attributes.local_window_size);
    expect(await windows(folds[4]!)).toEqual([9, 9]);
    expect(await windows(grouped)).toEqual([undefined, undefined]);
  });

  it("is plain where keys and values differ, or positions enter the scores", async () => {
    expect(attentionNodes(await graphOf(spans))).toEqual([]);
    expect(attentionNodes(await graphOf(["", bloom, { keep: "1" }]))).toEqual([]);
  });

  it("is plain where a folded head is no multiple of eight numbers", async () => {
    const graph = await graphOf(["", llama, { keep: "1/4", method: "svd-w", keySpan: 1, valueSpan: 1 }]);
    expect(attentionNodes(graph)).toEqual([]);
    expect(cacheDims(graph)[0]![1]).toEqual(["batch_size", 4, "past_sequence_length", 4]);
  });
});

describe("the cache", () => {
  it("may be written in place by the fused operator: past and present lengths have one name", async () => {
    const lengths = async (fold: Fold) => new Set(cacheDims(await graphOf(fold)).map(([, dims]) => dims![2]));
    expect(await lengths(grouped)).toEqual(new Set(["cache_length"]));
    expect(await lengths(spans)).toEqual(new Set(["past_sequence_length", "total_sequence_length"]));
  });

  it("of a wide latent is stored as heads of the other side's size: [B, Hkv/t, T, d] for both", async () => {
    for (const [name, dims] of cacheDims(await graphOf(spans))) {
      const length = (name as string).startsWith("past") ? "past_sequence_length" : "total_sequence_length";
      expect(dims).toEqual(["batch_size", 2, length, 16]);
    }
  });

  it("of grouped heads is plain GQA's", async () => {
    for (const [, dims] of cacheDims(await graphOf(grouped)))
      expect(dims).toEqual(["batch_size", 2, "cache_length", 16]);
  });
});

describe("keys cached before the rotation", () => {
  const windows = randomWindows(2, 20, { vocabulary: 61 });
  const eigen: Fold = ["", llama, { keep: "1/2", method: "eigen-attention", windows }];
  const rotations = ({ nodes }: GraphView) => nodes.filter(({ operator }) => operator === "RotaryEmbedding");

  it("enter the cache as they leave their projection, which gives the latent", async () => {
    const graph = await graphOf(expanded);
    expect(cacheDims(graph)[0]![1]).toEqual(["batch_size", 1, "past_sequence_length", 32]);
    expect(graph.initializers.get("model.layers.0.attn.k_proj.MatMul.weight")!.dims).toEqual([32, 32]);
    expect(attentionNodes(graph)).toEqual([]);
  });

  it("are expanded by one matrix for each latent, or one for all that decode alike", async () => {
    const dims = async (fold: Fold) =>
      (await graphOf(fold)).initializers.get("model.layers.0.attn.k_expansion.decode")!.dims;
    expect(await dims(expanded)).toEqual([1, 32, 4 * 16]);
    expect(await dims(["", llama, { keep: "1/2", method: "lorc", keySpan: 2 }])).toEqual([2, 16, 2 * 16]);
    expect(await dims(eigen)).toEqual([1, 8, 16]);
  });

  it("are rotated by positions counted once from the attention mask, and queries by the last of these", async () => {
    for (const fold of [expanded, eigen]) {
      const graph = await graphOf(fold);
      const ids = rotations(graph).map(({ inputs }) => inputs[1]!);
      expect(ids).toHaveLength(4);
      const [query, key] = ids;
      expect(ids).toEqual([query, key, query, key]);
      expect(query).not.toBe("position_ids");
      expect(graph.nodes.filter(({ operator }) => operator === "CumSum")).toHaveLength(1);
    }
  });

  it("leave no trace in graphs that rotate keys on their way in, and none in BLOOM's", async () => {
    const names = async (fold: Fold) => [...(await graphOf(fold)).initializers.keys()];
    const unrotated: Fold = ["", bloom, { keep: "1/2", method: "lorc" }];
    expect((await names(unrotated)).filter((name) => /expansion|_basis/.test(name))).toEqual([]);
    const { nodes } = await graphOf(spans);
    expect(nodes.filter(({ operator }) => operator === "CumSum")).toEqual([]);
  });
});

describe("weights", () => {
  it("of a folded value projection are those of fewer heads, and nothing expands the cache", async () => {
    const { initializers, nodes } = await graphOf(grouped);
    expect(initializers.get("model.layers.0.attn.v_proj.MatMul.weight")!.dims).toEqual([32, 2 * 16]);
    expect(initializers.get("model.layers.0.attn.k_basis.encode")!.dims).toEqual([2, 32, 16]);
    expect(initializers.get("model.layers.0.attn.q_basis.decode")!.dims).toEqual([4, 16, 16]);
    expect(nodes.filter(({ operator }) => ["Expand", "Tile"].includes(operator))).toEqual([]);
  });

  it("of BLOOM's keys and queries fold too: nothing is left at run time", async () => {
    const { initializers } = await graphOf(folds[5]!);
    expect(initializers.get("model.layers.0.attn.k_proj.MatMul.weight")!.dims).toEqual([48, 24]);
    expect(initializers.get("model.layers.0.attn.q_proj.MatMul.weight")!.dims).toEqual([48, 48]);
    expect([...initializers.keys()].filter((name) => name.includes("_basis"))).toEqual([]);
  });

  it("of an unfolded model have no basis", async () => {
    const { initializers } = await graphOf(folds[0]!);
    expect([...initializers.keys()].filter((name) => name.includes("_basis"))).toEqual([]);
  });
});
