import { dtypes, type ModelConfig } from "@kvfold/decoder";
import type { FoldPlan } from "../plan/fold-plan.js";
import { onnxDtypes } from "../plan/stored-dtype.js";
import { sharedCache } from "./shared-cache.js";

type Fields = Readonly<Record<string, unknown>>;

/** The file that onnxruntime-genai opens a folder by. */
export const GENAI_CONFIG_FILE = "genai_config.json";

/**
 * The `genai_config.json` of an ONNX output, with which onnxruntime-genai loads the folder: the names of the first graph's inputs
 * and outputs, and the one shape of its cache. There is none for folds whose layers, or keys and values, differ in shape, since
 * releases of onnxruntime-genai before 2026 make all caches alike; and none where the config names no token that ends a text.
 *
 * @param generation - The fields of `generation_config.json`, which come before those of the model's config.
 */
export function genaiConfig(
  { fields, shape }: Pick<ModelConfig, "fields" | "shape">,
  plan: FoldPlan,
  generation: Fields = {},
): Fields | undefined {
  const cache = sharedCache(plan);
  const tokens = { ...pickTokens(fields), ...pickTokens(generation) };
  const [dtype] = onnxDtypes(plan.dtypes);
  if (cache === undefined || dtype === undefined || tokens.eos_token_id === undefined) return undefined;
  const [end] = [tokens.eos_token_id].flat();
  return {
    model: {
      // Any decoder that is run by these names alone; nothing is done by family.
      type: "decoder",
      ...tokens,
      pad_token_id: tokens.pad_token_id ?? end,
      vocab_size: shape.vocabSize,
      context_length: plan.maxPositions,
      decoder: {
        filename: `onnx/${dtypes[dtype].fileName}`,
        session_options: { provider_options: [] },
        hidden_size: shape.hiddenSize,
        num_hidden_layers: shape.layers,
        num_key_value_heads: cache.heads,
        head_size: cache.size,
        inputs: {
          input_ids: "input_ids",
          attention_mask: "attention_mask",
          position_ids: "position_ids",
          past_key_names: "past_key_values.%d.key",
          past_value_names: "past_key_values.%d.value",
        },
        outputs: {
          logits: "logits",
          present_key_names: "present.%d.key",
          present_value_names: "present.%d.value",
        },
      },
    },
    search: {
      do_sample: false,
      max_length: plan.maxPositions,
      // Its caches grow with the text: the graphs take them in their true length.
      past_present_share_buffer: false,
    },
  };
}

const TOKEN_FIELDS = ["bos_token_id", "eos_token_id", "pad_token_id"] as const;

type Tokens = { readonly [name in (typeof TOKEN_FIELDS)[number]]?: number | readonly number[] };

/** Tokens that fields name; null says as little as nothing. */
const pickTokens = (fields: Fields): Tokens =>
  Object.fromEntries(
    TOKEN_FIELDS.map((name) => [name, fields[name]] as const).filter(([, value]) => value != null),
  );
