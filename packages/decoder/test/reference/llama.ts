import { attend } from "./attention.js";
import type { AttendedHook, TensorReader } from "./decoder.js";
import { embed } from "./embed.js";
import { addRows, applyLinear, mapRows, type Rows, rmsNorm, type StoredLinear, silu } from "./layers.js";
import { type RopeFields, rotateHeads } from "./positions.js";

interface LlamaFields extends RopeFields {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim?: number;
  readonly rms_norm_eps: number;
  readonly vocab_size: number;
  readonly tie_word_embeddings?: boolean;
  readonly sliding_window?: number | null;
}

/** Llama, Mistral and Qwen2. */
export async function llamaDecoder(
  reader: TensorReader,
  tokens: readonly number[],
  hook: AttendedHook,
): Promise<Rows> {
  const fields = reader.fields as unknown as LlamaFields;
  const { hidden_size: width, vocab_size: vocabulary, rms_norm_eps: epsilon } = fields;
  const table = await reader.required("model.embed_tokens.weight", [vocabulary, width]);
  let x = embed(table, width, tokens);
  for (let layer = 0; layer < fields.num_hidden_layers; layer++)
    x = await runBlock(reader, fields, layer, x, hook);
  const normed = rmsNorm(x, await reader.required("model.norm.weight", [width]), epsilon);
  const head = fields.tie_word_embeddings
    ? table
    : await reader.required("lm_head.weight", [vocabulary, width]);
  return applyLinear(normed, { weight: head, bias: undefined });
}

async function runBlock(
  reader: TensorReader,
  fields: LlamaFields,
  layer: number,
  x: Rows,
  hook: AttendedHook,
): Promise<Rows> {
  const { hidden_size: width, intermediate_size: inner, rms_norm_eps: epsilon } = fields;
  const name = (module: string) => `model.layers.${layer}.${module}`;
  const norm = async (module: string, rows: Rows) =>
    rmsNorm(rows, await reader.required(`${name(module)}.weight`, [width]), epsilon);
  const attended = await runAttention(reader, fields, layer, await norm("input_layernorm", x), hook);
  const middle = addRows(x, attended);
  const normed = await norm("post_attention_layernorm", middle);
  const gate = applyLinear(normed, await readLinear(reader, name("mlp.gate_proj"), inner, width));
  const up = applyLinear(normed, await readLinear(reader, name("mlp.up_proj"), inner, width));
  const gated = mapRows(gate, (value, index) => silu(value) * up.data[index]!);
  return addRows(middle, applyLinear(gated, await readLinear(reader, name("mlp.down_proj"), width, inner)));
}

async function runAttention(
  reader: TensorReader,
  fields: LlamaFields,
  layer: number,
  x: Rows,
  hook: AttendedHook,
): Promise<Rows> {
  const { hidden_size: width, num_attention_heads: heads, num_key_value_heads: kvHeads } = fields;
  const headDim = fields.head_dim ?? width / heads;
  const project = async (module: string, outputs: number) =>
    applyLinear(x, await readLinear(reader, `model.layers.${layer}.self_attn.${module}`, outputs, width));
  const rotate = (rows: Rows) => rotateHeads(rows, headDim, fields);
  const queries = rotate(await project("q_proj", heads * headDim));
  const keysBeforeRope = await project("k_proj", kvHeads * headDim);
  const { keys, values } = hook(layer, {
    queries,
    keysBeforeRope,
    rotate,
    keys: rotate(keysBeforeRope),
    values: await project("v_proj", kvHeads * headDim),
  });
  const window = fields.sliding_window ?? undefined;
  const outputs = attend({ queries, keys, values, heads, headDim, slopes: undefined, window });
  const module = `model.layers.${layer}.self_attn.o_proj`;
  return applyLinear(outputs, await readLinear(reader, module, width, heads * headDim));
}

async function readLinear(
  reader: TensorReader,
  module: string,
  outputs: number,
  inputs: number,
): Promise<StoredLinear> {
  return {
    weight: await reader.required(`${module}.weight`, [outputs, inputs]),
    bias: await reader.optional(`${module}.bias`, [outputs]),
  };
}
