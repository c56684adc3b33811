import { readdirSync, readFileSync } from "node:fs";

// Tests run these sources, the fuzzer a bundle of them in `dist`: the path is the same from both.
const families = new URL("../../../packages/decoder/testdata/families/", import.meta.url);

/** A tiny checkpoint that is known to be right. */
export interface BaseModel {
  readonly name: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly weightsPath: string;
  readonly weights: Uint8Array;
}

const cache = new Map<string, BaseModel>();

/** Names of all tiny checkpoints. */
export const modelNames: readonly string[] = readdirSync(families, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .toSorted();

/** Reads one of them, once. */
export function baseModel(name: string): BaseModel {
  const found = cache.get(name) ?? readModel(name);
  cache.set(name, found);
  return found;
}

function readModel(name: string): BaseModel {
  const weights = new URL(`${name}/model.safetensors`, families);
  const config = readFileSync(new URL(`${name}/config.json`, families), "utf8");
  return {
    name,
    fields: JSON.parse(config) as Record<string, unknown>,
    weightsPath: decodeURIComponent(weights.pathname),
    weights: new Uint8Array(readFileSync(weights)),
  };
}

const names = [
  ...modelNames.flatMap((name) => Object.keys(baseModel(name).fields)),
  "rope_theta",
  "rope_scaling",
  "rotary_pct",
  "rotary_emb_base",
  "partial_rotary_factor",
  "rope_local_base_freq",
  "quantization_config",
  "kv_lora_rank",
  "num_experts",
  "num_local_experts",
  "num_kv_shared_layers",
  "is_encoder_decoder",
  "sliding_window_pattern",
  "no_rope_layers",
  "no_rope_layer_interval",
  "n_inner",
  "original_max_position_embeddings",
  "head_dim",
  "attn_config",
  "rotary_dim",
  "softmax_scale",
  "torch_dtype",
];

/** Every field that some config has. */
export const knownFields: readonly string[] = [...new Set(names)];
