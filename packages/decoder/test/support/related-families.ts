/** Families without a golden model of their own, as the golden model of another in disguise. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readFields } from "./families.js";
import {
  mapTensors,
  readTensors,
  safetensorsOf,
  scaled,
  shifted,
  sliceRows,
  stackRows,
  type Tensors,
  type TensorValues,
} from "./tensors.js";

export type Fields = Readonly<Record<string, unknown>>;

/** How a family's config and weights are made of a golden model's. */
export interface Relation {
  /** The golden model. */
  readonly of: string;
  readonly fields: (golden: Fields) => Fields;
  readonly tensors: (golden: Tensors, fields: Fields) => Tensors;
}

const same = (tensors: Tensors): Tensors => tensors;

const without = (fields: Fields, ...names: readonly string[]): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));

/** By model type, a comma and what is special about it: models that must give the golden logits of `of`. */
export const relations: Readonly<Record<string, Relation>> = {
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

/** Arcee's MLP squares a ReLU and has no gate: no golden model has its logits. */
export const arcee: Relation = {
  of: "llama-yarn",
  fields: (fields) => ({ ...fields, hidden_act: "relu2" }),
  tensors: (tensors) =>
    mapTensors(tensors, (name, tensor) => (name.includes("gate_proj") ? [] : [[name, tensor]])),
};

/** Config and weights of a related family. */
export async function relatedModel(
  modelType: string,
  { of, fields, tensors }: Relation,
): Promise<{ readonly fields: Fields; readonly tensors: Tensors }> {
  const own = { ...fields(readFields(of)), model_type: modelType };
  return { fields: own, tensors: tensors(await readTensors(of), own) };
}

/** Writes such a model as a checkpoint. */
export async function writeRelated(folder: string, modelType: string, relation: Relation): Promise<void> {
  const { fields, tensors } = await relatedModel(modelType, relation);
  await writeFile(join(folder, "config.json"), JSON.stringify(fields));
  await writeFile(join(folder, "model.safetensors"), safetensorsOf(tensors));
}

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
