/** A synthetic Llama of 1 billion parameters: random weights, float16. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensorsFile } from "@kvfold/safetensors/node";

export const billionConfig = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 2048,
  intermediate_size: 5632,
  num_hidden_layers: 20,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  head_dim: 64,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  vocab_size: 32000,
  hidden_act: "silu",
  tie_word_embeddings: false,
  torch_dtype: "float16",
};

/** Numbers of about 0.02 as float16 bits, from a fixed table: making a billion good ones would take minutes. */
function randomHalves(count) {
  const table = Uint16Array.from(
    { length: 65521 },
    (_, i) => ((Math.imul(i + 1, 2654435761) >>> 31) << 15) | (0x2000 + (Math.imul(i + 7, 40503) % 0x0700)),
  );
  const values = new Uint16Array(count);
  for (let i = 0; i < count; i++) values[i] = table[i % table.length];
  return new Uint8Array(values.buffer);
}

function tensorShapes({ hidden_size: d, intermediate_size: m, vocab_size: v, num_hidden_layers: layers }) {
  const block = (i) => {
    const p = `model.layers.${i}`;
    return [
      [`${p}.input_layernorm.weight`, [d]],
      ...["q", "k", "v", "o"].map((name) => [`${p}.self_attn.${name}_proj.weight`, [d, d]]),
      [`${p}.post_attention_layernorm.weight`, [d]],
      [`${p}.mlp.gate_proj.weight`, [m, d]],
      [`${p}.mlp.up_proj.weight`, [m, d]],
      [`${p}.mlp.down_proj.weight`, [d, m]],
    ];
  };
  return [
    ["model.embed_tokens.weight", [v, d]],
    ...Array.from({ length: layers }, (_, i) => block(i)).flat(),
    ["model.norm.weight", [d]],
    ["lm_head.weight", [v, d]],
  ];
}

/** Writes it with so many layers, and says how many parameters it has. */
export async function writeBillion(folder, layers = billionConfig.num_hidden_layers) {
  const config = { ...billionConfig, num_hidden_layers: layers };
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  const size = (shape) => shape.reduce((a, b) => a * b, 1);
  const tensors = tensorShapes(config).map(([name, shape]) => ({
    name,
    dtype: "F16",
    shape,
    data: () => randomHalves(size(shape)),
  }));
  await writeSafetensorsFile(join(folder, "model.safetensors"), tensors, { format: "pt" });
  return tensors.reduce((total, { shape }) => total + size(shape), 0);
}

/** Windows of random tokens. */
export const randomTokens = (count, length) =>
  Array.from({ length: count }, (_, w) =>
    Int32Array.from(
      { length },
      (_, i) => (Math.imul(w * length + i + 1, 2654435761) >>> 17) % billionConfig.vocab_size,
    ),
  );
