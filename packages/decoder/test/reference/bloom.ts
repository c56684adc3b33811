import { attend } from "./attention.js";
import type { AttendedHook, TensorReader } from "./decoder.js";
import { embed } from "./embed.js";
import { addRows, applyLinear, geluTanh, layerNorm, mapRows, type Rows, zeroRows } from "./layers.js";
import { publishedSlopes } from "./positions.js";

interface BloomFields {
  readonly hidden_size: number;
  readonly n_layer: number;
  readonly n_head: number;
  readonly vocab_size: number;
  readonly layer_norm_epsilon: number;
}

/** BLOOM with a tied head. */
export async function bloomDecoder(
  reader: TensorReader,
  tokens: readonly number[],
  hook: AttendedHook,
): Promise<Rows> {
  const fields = reader.fields as unknown as BloomFields;
  const { hidden_size: width, vocab_size: vocabulary } = fields;
  const table = await reader.required("transformer.word_embeddings.weight", [vocabulary, width]);
  let x = await norm(reader, fields, "word_embeddings_layernorm", embed(table, width, tokens));
  for (let layer = 0; layer < fields.n_layer; layer++) x = await runBlock(reader, fields, layer, x, hook);
  return applyLinear(await norm(reader, fields, "ln_f", x), { weight: table, bias: undefined });
}

async function runBlock(
  reader: TensorReader,
  fields: BloomFields,
  layer: number,
  x: Rows,
  hook: AttendedHook,
): Promise<Rows> {
  const { hidden_size: width } = fields;
  const attentionInput = await norm(reader, fields, `h.${layer}.input_layernorm`, x);
  const middle = addRows(x, await runAttention(reader, fields, layer, attentionInput, hook));
  const mlpInput = await norm(reader, fields, `h.${layer}.post_attention_layernorm`, middle);
  const up = await linear(reader, `h.${layer}.mlp.dense_h_to_4h`, mlpInput, 4 * width);
  return addRows(middle, await linear(reader, `h.${layer}.mlp.dense_4h_to_h`, mapRows(up, geluTanh), width));
}

async function runAttention(
  reader: TensorReader,
  { hidden_size: width, n_head: heads }: BloomFields,
  layer: number,
  x: Rows,
  hook: AttendedHook,
): Promise<Rows> {
  const headDim = width / heads;
  const fused = await linear(reader, `h.${layer}.self_attention.query_key_value`, x, 3 * width);
  const queries = takePart(fused, heads, headDim, 0);
  const unchanged = takePart(fused, heads, headDim, 1);
  const { keys, values } = hook(layer, {
    queries,
    keysBeforeRope: unchanged,
    rotate: (rows) => rows,
    keys: unchanged,
    values: takePart(fused, heads, headDim, 2),
  });
  const slopes = publishedSlopes(heads);
  const outputs = attend({ queries, keys, values, heads, headDim, slopes, window: undefined });
  return linear(reader, `h.${layer}.self_attention.dense`, outputs, width);
}

/** BLOOM's projection is laid out `[heads, (query, key, value), d]`. */
function takePart(fused: Rows, heads: number, headDim: number, part: 0 | 1 | 2): Rows {
  const rows = zeroRows(fused.count, heads * headDim);
  for (let row = 0; row < fused.count; row++) {
    for (let head = 0; head < heads; head++) {
      for (let i = 0; i < headDim; i++) {
        const from = row * fused.width + (3 * head + part) * headDim + i;
        rows.data[row * rows.width + head * headDim + i] = fused.data[from]!;
      }
    }
  }
  return rows;
}

async function norm(reader: TensorReader, fields: BloomFields, module: string, x: Rows): Promise<Rows> {
  const weight = await reader.required(`transformer.${module}.weight`, [x.width]);
  const bias = await reader.required(`transformer.${module}.bias`, [x.width]);
  return layerNorm(x, weight, bias, fields.layer_norm_epsilon);
}

async function linear(reader: TensorReader, module: string, x: Rows, outputs: number): Promise<Rows> {
  return applyLinear(x, {
    weight: await reader.required(`transformer.${module}.weight`, [outputs, x.width]),
    bias: await reader.required(`transformer.${module}.bias`, [outputs]),
  });
}
