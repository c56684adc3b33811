/** Families without a golden model of their own: their weights are made of one that has, and must give its logits. */

import { describe, expect, it } from "vitest";
import { loadBlock, loadEmbedding } from "../src/index.js";
import { exportModel, modelLogits } from "./support/export-model.js";
import { readFields, readReference } from "./support/families.js";
import {
  mapTensors,
  openTensors,
  readTensors,
  scaled,
  shifted,
  sliceRows,
  stackRows,
  type Tensors,
  type TensorValues,
} from "./support/tensors.js";

type Fields = Readonly<Record<string, unknown>>;

interface Relation {
  /** The golden model. */
  readonly of: string;
  readonly fields: (golden: Fields) => Fields;
  readonly tensors: (golden: Tensors, fields: Fields) => Tensors;
}

const same = (tensors: Tensors): Tensors => tensors;

const without = (fields: Fields, ...names: readonly string[]): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));

const relations: Readonly<Record<string, Relation>> = {
  ministral: {
    of: "mistral",
    fields: (fields) => older(fields, 10_000),
    tensors: same,
  },
  internlm2: {
    of: "llama-internlm",
    fields: (fields) => ({
      ...without(fields, "attention_bias", "mlp_bias", "rope_parameters"),
      bias: true,
      rope_theta: 10_000,
      rope_scaling: { type: "dynamic", factor: 2.0 },
    }),
    tensors: asInternlm2,
  },
  gemma: {
    of: "llama-linear",
    fields: (fields) => without(fields, "mlp_bias"),
    // Gemma scales embeddings by the root of the hidden size, which is 64, and stores `w - 1`.
    tensors: (tensors) =>
      mapTensors(tensors, (name, tensor) => {
        if (name === "model.embed_tokens.weight") return [[name, scaled(tensor, 1 / 8)]];
        return [[name, name.includes("norm") ? shifted(tensor, -1) : tensor]];
      }),
  },
  glm: {
    of: "llama-linear",
    fields: (fields) => ({ ...without(fields, "mlp_bias"), partial_rotary_factor: 1 }),
    tensors: (tensors, { head_dim }) => fuseGates(interleaveHeads(tensors, head_dim as number)),
  },
  helium: {
    of: "llama-yarn",
    fields: (fields) => fields,
    tensors: (tensors, { head_dim }) => interleaveHeads(tensors, head_dim as number),
  },
  "olmo3, full attention": {
    of: "olmo2",
    fields: (fields) => ({ ...older(fields, 10_000), layer_types: ["full_attention", "full_attention"] }),
    tensors: same,
  },
  "olmo3, a window longer than the text": {
    of: "olmo2",
    fields: (fields) => ({ ...older(fields, 10_000), sliding_window: 30 }),
    tensors: same,
  },
  "cohere2, a window longer than the text": {
    of: "cohere",
    fields: (fields) => ({ ...older(without(fields, "use_qk_norm"), 500_000), sliding_window: 30 }),
    tensors: same,
  },
};

const older = (fields: Fields, theta: number): Fields => ({
  ...without(fields, "rope_parameters"),
  rope_theta: theta,
});

describe("a family that is another in disguise gives that one's golden logits", () => {
  it.each(Object.entries(relations))("%s", async (name, { of, fields, tensors }) => {
    const modelType = name.split(",")[0]!;
    const own = { ...fields(readFields(of)), model_type: modelType };
    const checkpoint = await openTensors(own, tensors(await readTensors(of), own));
    expect(checkpoint.notices).toEqual([]);
    const { ids, last } = readReference(of).sequences[0]!;
    const logits = await modelLogits(await exportModel(checkpoint, { maxPositions: 64 }), ids);
    const expected = last.flat();
    const tail = logits.subarray(logits.length - expected.length);
    const error = Math.max(...expected.map((value, index) => Math.abs(value - tail[index]!)));
    // As for the golden models: float32 in another order of operations.
    expect(error / Math.max(...expected.map(Math.abs))).toBeLessThan(1e-4);
  });
});

describe("what such a family adds", () => {
  const describeFamily = async (of: string, fields: Fields) =>
    (await openTensors({ ...readFields(of), ...fields }, await readTensors(of))).config;

  it("olmo3: windows in three of four layers, whose rotation is not scaled", async () => {
    const scaling = { rope_type: "linear", factor: 4 };
    const fields = {
      model_type: "olmo3",
      rope_scaling: scaling,
      rope_parameters: undefined,
      sliding_window: 5,
    };
    const { blocks } = await describeFamily("olmo2", {
      ...fields,
      layer_types: ["sliding_attention", "full_attention"],
    });
    expect(blocks.map(({ attention }) => [attention.window, attention.rope?.ropeType])).toEqual([
      [5, "default"],
      [undefined, "linear"],
    ]);
    const { blocks: implicit } = await describeFamily("olmo2", fields);
    expect(implicit.map(({ attention }) => attention.window)).toEqual([5, 5]);
  });

  it("cohere2: full attention without rotation", async () => {
    const fields = {
      model_type: "cohere2",
      use_qk_norm: undefined,
      sliding_window: 5,
      sliding_window_pattern: 2,
    };
    const { blocks } = await describeFamily("cohere", fields);
    expect(blocks.map(({ attention }) => [attention.window, attention.rope?.theta])).toEqual([
      [5, 500_000],
      [undefined, undefined],
    ]);
  });

  it("arcee: an MLP that is gated by itself", async () => {
    const golden = await readTensors("llama-yarn");
    const fields = readFields("llama-yarn");
    const ungated = mapTensors(golden, (name, tensor) =>
      name.includes("gate_proj") ? [] : [[name, tensor]],
    );
    const doubled = mapTensors(ungated, (name, tensor) =>
      name.includes("up_proj")
        ? [
            [name, tensor],
            [name.replace("up_proj", "gate_proj"), tensor],
          ]
        : [[name, tensor]],
    );
    // relu(x)^2 = relu(x) x.
    const arcee = await openTensors({ ...fields, model_type: "arcee", hidden_act: "relu2" }, ungated);
    const llama = await openTensors({ ...fields, hidden_act: "relu" }, doubled);
    const { ids } = readReference("llama-yarn").sequences[0]!;
    const [a, b] = [
      await modelLogits(await exportModel(arcee), ids),
      await modelLogits(await exportModel(llama), ids),
    ];
    const largest = Math.max(...b.map(Math.abs));
    const error = Math.max(...a.map((value, index) => Math.abs(value - b[index]!)));
    expect(error / largest).toBeLessThan(1e-5);
  });

  it("gemma: norms and embeddings come out of the loader as Llama's", async () => {
    const { of, fields, tensors } = relations.gemma!;
    const own = { ...fields(readFields(of)), model_type: "gemma" };
    const golden = await readTensors(of);
    const checkpoint = await openTensors(own, tensors(golden, own));
    const { attentionNorms } = await loadBlock(checkpoint, 0);
    expect(attentionNorms.input!.weight).toEqual(golden.get("model.layers.0.input_layernorm.weight")!.data);
    expect((await loadEmbedding(checkpoint)).scale).toBe(8);
  });
});

/** Heads whose halves turn together, stored so that neighbours do. */
function interleaveHeads(tensors: Tensors, headDim: number): Tensors {
  return mapTensors(tensors, (name, tensor) =>
    /[qk]_proj\.weight$/.test(name) ? [[name, interleaveRows(tensor, headDim)]] : [[name, tensor]],
  );
}

function interleaveRows(tensor: TensorValues, headDim: number): TensorValues {
  const rows = Array.from({ length: tensor.shape[0]! }, (_, row) => {
    const [head, i] = [Math.floor(row / headDim), row % headDim];
    const from = head * headDim + (i % 2) * (headDim / 2) + Math.floor(i / 2);
    return sliceRows(tensor, from, from + 1);
  });
  return stackRows(rows);
}

/** Gate on top of up in one tensor. */
function fuseGates(tensors: Tensors): Tensors {
  return mapTensors(tensors, (name, tensor) => {
    if (name.includes("up_proj")) return [];
    if (!name.includes("gate_proj")) return [[name, tensor]];
    const up = tensors.get(name.replace("gate_proj", "up_proj"))!;
    return [[name.replace("gate_proj", "gate_up_proj"), stackRows([tensor, up])]];
  });
}

/** InternLM2's names, and its fused projections: for each KV head its two query heads, its key, its value. */
function asInternlm2(tensors: Tensors): Tensors {
  const names: readonly (readonly [string, string])[] = [
    ["model.embed_tokens", "model.tok_embeddings"],
    ["lm_head", "output"],
    ["input_layernorm", "attention_norm"],
    ["post_attention_layernorm", "ffn_norm"],
    ["self_attn.o_proj", "attention.wo"],
    ["mlp.gate_proj", "feed_forward.w1"],
    ["mlp.up_proj", "feed_forward.w3"],
    ["mlp.down_proj", "feed_forward.w2"],
  ];
  return mapTensors(tensors, (name, tensor) => {
    if (/[kv]_proj/.test(name)) return [];
    if (name.includes("q_proj"))
      return [[name.replace("self_attn.q_proj", "attention.wqkv"), fuseGroups(tensors, name)]];
    const renamed = names.find(([from]) => name.includes(from));
    return [[renamed === undefined ? name : name.replace(...renamed), tensor]];
  });
}

function fuseGroups(tensors: Tensors, queryName: string): TensorValues {
  const headDim = 16;
  const part = (letter: string) => asMatrix(tensors.get(queryName.replace("q_proj", `${letter}_proj`))!);
  const [query, key, value] = [part("q"), part("k"), part("v")];
  const groups = [0, 1].flatMap((group) => [
    sliceRows(query, group * 2 * headDim, (group + 1) * 2 * headDim),
    sliceRows(key, group * headDim, (group + 1) * headDim),
    sliceRows(value, group * headDim, (group + 1) * headDim),
  ]);
  const fused = stackRows(groups);
  return queryName.endsWith(".bias") ? { ...fused, shape: [fused.shape[0]!] } : fused;
}

/** A vector as a matrix of one column. */
const asMatrix = ({ shape, data }: TensorValues): TensorValues =>
  shape.length === 1 ? { shape: [shape[0]!, 1], data } : { shape, data };
