import { showValue } from "../show-value.js";

/** Architectures that a KV fold does not apply to, or that no graph here computes, with the reason to show. */
const refusals: readonly { readonly reason: string; readonly modelTypes: readonly string[] }[] = [
  {
    reason: "uses multi-head latent attention (MLA), whose cache is compressed already",
    modelTypes: [
      "deepseek_v2",
      "deepseek_v3",
      "deepseek_v32",
      "kimi_k2",
      "minicpm3",
      "longcat_flash",
      "youtu",
    ],
  },
  {
    reason: "mixes attention with state-space or convolution layers, which keep no KV cache",
    modelTypes: [
      "mamba",
      "mamba2",
      "falcon_mamba",
      "jamba",
      "zamba",
      "zamba2",
      "bamba",
      "falcon_h1",
      "nemotron_h",
      "granitemoehybrid",
      "recurrent_gemma",
      "rwkv",
      "lfm2",
      "lfm2_moe",
      "qwen3_next",
      "kimi_linear",
      "plamo2",
      "minimax",
    ],
  },
  {
    reason: "shares the KV cache of some layers with others",
    modelTypes: ["gemma3n", "gemma3n_text", "gemma4", "gemma4_text"],
  },
  {
    reason: "is a mixture of experts",
    modelTypes: [
      "mixtral",
      "qwen2_moe",
      "qwen3_moe",
      "olmoe",
      "flex_olmo",
      "phimoe",
      "deepseek",
      "granitemoe",
      "granitemoeshared",
      "gpt_oss",
      "dbrx",
      "llama4",
      "llama4_text",
      "ernie4_5_moe",
      "glm4_moe",
      "hunyuan_v1_moe",
      "jetmoe",
      "dots1",
      "grok-1",
      "arctic",
      "ling",
    ],
  },
  {
    reason: "is an encoder or an encoder-decoder, not a decoder",
    modelTypes: [
      "bert",
      "roberta",
      "xlm-roberta",
      "distilbert",
      "albert",
      "electra",
      "deberta",
      "deberta-v2",
      "modernbert",
      "mpnet",
      "t5",
      "mt5",
      "umt5",
      "bart",
      "mbart",
      "marian",
      "pegasus",
      "m2m_100",
      "whisper",
      "vit",
      "clip",
      "siglip",
    ],
  },
];

/** Fields whose presence gives such an architecture away, whatever the model calls itself. */
const telltales: readonly { readonly field: string; readonly reason: string }[] = [
  { field: "kv_lora_rank", reason: refusals[0]!.reason },
  { field: "num_kv_shared_layers", reason: refusals[2]!.reason },
  { field: "num_local_experts", reason: refusals[3]!.reason },
  { field: "num_experts", reason: refusals[3]!.reason },
  { field: "n_routed_experts", reason: refusals[3]!.reason },
];

/** Why a config of a type that no family reads cannot be read, where there is a better reason than that. */
export function typeRefusal(modelType: string): string | undefined {
  const listed = refusals.find(({ modelTypes }) => modelTypes.includes(modelType));
  return listed && `model_type ${JSON.stringify(modelType)} ${listed.reason}`;
}

/** Why a config cannot be read, whatever its type, or `undefined`. */
export function fieldRefusal(fields: Readonly<Record<string, unknown>>): string | undefined {
  if (fields.quantization_config !== undefined && fields.quantization_config !== null)
    return "quantised checkpoints are not supported; fold the float checkpoint and quantise the result";
  const told = telltales.find(({ field }) => isPresent(fields[field]));
  if (told !== undefined)
    return `${told.field} is ${showValue(fields[told.field])}: the model ${told.reason}`;
  if (fields.is_encoder_decoder === true) return "is_encoder_decoder is true: the model is not a decoder";
  return undefined;
}

/** Counts of parts that a model does not have are absent, null or 0. */
const isPresent = (count: unknown): boolean => typeof count === "number" && count > 0;
