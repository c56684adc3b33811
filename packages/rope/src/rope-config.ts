import {
  type ConfigFields,
  isJsonObject,
  malformed,
  readOptionalCount,
  readOptionalObject,
  readOptionalPositive,
  readOptionalString,
  showValue,
} from "./internal/config-fields.js";
import { RopeError } from "./rope-error.js";
import type { RopeGeometry, RopeParameters, RopeType } from "./rope-parameters.js";
import { scalingRules } from "./scalings/registry.js";
import type { ScalingSource } from "./scalings/scaling-rule.js";

/** Microsoft's first Phi-3 checkpoints call LongRoPE "su". */
const renamedTypes: Readonly<Record<string, RopeType>> = { su: "longrope" };

export declare namespace ropeParameters {
  interface Options {
    /** Which entry to read where a config has one rope per layer type, e.g. `"full_attention"`. */
    readonly layerType?: string;
    /** `theta` where the config has none: families differ, so pass the family's own. Default 10000. */
    readonly defaultTheta?: number;
  }
}

/**
 * Reads the rotary embedding out of a Hugging Face `config.json` (for a multimodal model: of its text part).
 *
 * Understands the fields of transformers 5 (`rope_parameters`) and before (`rope_scaling` with `rope_type` or `type`,
 * `rope_theta`, `partial_rotary_factor`), the names of GPT-NeoX (`rotary_pct`, `rotary_emb_base`), GPT-J
 * (`rotary_dim`, `n_embd`, `n_head`) and DeepSeek (`qk_rope_head_dim`), and Gemma 3's `rope_local_base_freq`.
 * A config says neither whether the model rotates at all nor in which layout: the caller knows its model family.
 *
 * @throws {RopeError} `malformed-config` naming the field; `unsupported-rope-type` for an unknown scaling;
 * `invalid-argument` when the config has one rope per layer type and `layerType` picks none of them.
 * @see Hugging Face transformers 5.18.0, `RotaryEmbeddingConfigMixin`, for which field wins.
 *
 * @example
 * ```ts
 * import { ropeParameters } from "@kvfold/rope";
 *
 * const parameters = ropeParameters({
 *   hidden_size: 2048,
 *   num_attention_heads: 32,
 *   rope_theta: 10_000,
 *   partial_rotary_factor: 0.5,
 *   rope_scaling: { type: "linear", factor: 4 },
 * });
 * parameters // => { headDim: 64, rotaryDim: 32, theta: 10000, ropeType: "linear", scaling: { factor: 4 } }
 * ```
 */
export function ropeParameters(
  config: object,
  { layerType, defaultTheta = 10_000 }: ropeParameters.Options = {},
): RopeParameters {
  if (!isJsonObject(config)) {
    throw new RopeError(
      "malformed-config",
      "ropeParameters: expected config to be an object, the parsed config.json",
    );
  }
  const root: ConfigFields = { path: "config", values: config };
  const fields = selectFields(root, layerType);
  const ropeType = readRopeType(fields);
  const headDim = readHeadDim(root);
  const geometry: RopeGeometry = {
    headDim,
    // Proportional RoPE pairs the whole head whatever its partial_rotary_factor.
    rotaryDim: ropeType === "proportional" ? checkEven(root, headDim) : readRotaryDim(root, fields, headDim),
    theta: readTheta(root, fields) ?? defaultTheta,
  };
  const scaling = scalingRules[ropeType].read(scalingSource(root, fields, geometry));
  // The compiler does not see that type and scaling come from the same rule.
  return { ...geometry, ropeType, scaling } as RopeParameters;
}

/** The object holding the scaling's fields: `rope_scaling` wins over `rope_parameters`, absent means unscaled. */
function selectFields(root: ConfigFields, layerType: string | undefined): ConfigFields {
  const found = readOptionalObject(root, "rope_scaling") ?? readOptionalObject(root, "rope_parameters");
  const fields = found ?? { path: "config.rope_parameters", values: {} };
  const layerTypes = Object.keys(fields.values).filter((key) => isJsonObject(fields.values[key]));
  if (layerTypes.length > 0) return selectLayer(fields, layerTypes, layerType);
  return root.values.rope_local_base_freq == null ? fields : selectGemma3Layer(root, fields, layerType);
}

function selectLayer(fields: ConfigFields, layerTypes: readonly string[], layerType = "none"): ConfigFields {
  if (!layerTypes.includes(layerType)) throw unknownLayerType(fields.path, layerTypes, layerType);
  return readOptionalObject(fields, layerType)!;
}

/** Gemma 3 before transformers 5: sliding layers turn unscaled on their own base, all scaling is for the others. */
function selectGemma3Layer(root: ConfigFields, fields: ConfigFields, layerType = "none"): ConfigFields {
  if (layerType === "full_attention") return fields;
  if (layerType !== "sliding_attention") {
    throw unknownLayerType("config.rope_local_base_freq", ["full_attention", "sliding_attention"], layerType);
  }
  return { path: root.path, values: { rope_theta: root.values.rope_local_base_freq } };
}

/** Layer types that a message lists; models have two. */
const MAX_LAYER_TYPES = 4;

function unknownLayerType(path: string, layerTypes: readonly string[], layerType: string): RopeError {
  const names = layerTypes.slice(0, MAX_LAYER_TYPES).map(showValue).join(" or ");
  return new RopeError(
    "invalid-argument",
    `ropeParameters: ${path} sets one rope per layer type, expected the option layerType to be ${names}, found ${layerType}`,
  );
}

function readRopeType(fields: ConfigFields): RopeType {
  const named = readOptionalString(fields, "rope_type") ?? readOptionalString(fields, "type") ?? "default";
  const ropeType = renamedTypes[named] ?? named;
  if (Object.hasOwn(scalingRules, ropeType)) return ropeType as RopeType;
  throw new RopeError(
    "unsupported-rope-type",
    `ropeParameters: expected ${fields.path}.rope_type to be one of ${Object.keys(scalingRules).join(", ")}, found ${showValue(named)}`,
  );
}

function readTheta(root: ConfigFields, fields: ConfigFields): number | undefined {
  return (
    readOptionalPositive(fields, "rope_theta") ??
    readOptionalPositive(root, "rope_theta") ??
    readOptionalPositive(root, "rotary_emb_base")
  );
}

function readHeadDim(root: ConfigFields): number {
  const headDim = readOptionalCount(root, "head_dim") ?? readOptionalCount(root, "qk_rope_head_dim");
  if (headDim !== undefined) return headDim;
  const hiddenSize = readOptionalCount(root, "hidden_size") ?? readOptionalCount(root, "n_embd");
  const heads = readOptionalCount(root, "num_attention_heads") ?? readOptionalCount(root, "n_head");
  if (hiddenSize !== undefined && heads !== undefined) return Math.floor(hiddenSize / heads);
  throw new RopeError(
    "malformed-config",
    "ropeParameters: expected config to have head_dim, or hidden_size and num_attention_heads; for a multimodal model pass its text_config",
  );
}

function readRotaryDim(root: ConfigFields, fields: ConfigFields, headDim: number): number {
  const share =
    readOptionalPositive(fields, "partial_rotary_factor") ??
    readOptionalPositive(root, "partial_rotary_factor") ??
    readOptionalPositive(root, "rotary_pct");
  const rotaryDim = share === undefined ? readOptionalCount(root, "rotary_dim") : Math.trunc(headDim * share);
  return checkEven(root, checkWithinHead(root, rotaryDim ?? headDim, headDim));
}

function checkWithinHead(root: ConfigFields, rotaryDim: number, headDim: number): number {
  if (rotaryDim >= 2 && rotaryDim <= headDim) return rotaryDim;
  throw malformed(
    root,
    "partial_rotary_factor",
    `a share of the head that rotates 2 to ${headDim} dims`,
    rotaryDim,
  );
}

function checkEven(root: ConfigFields, rotaryDim: number): number {
  if (rotaryDim % 2 === 0) return rotaryDim;
  throw malformed(root, "head_dim", "such that an even number of dims rotates", rotaryDim);
}

function scalingSource(root: ConfigFields, fields: ConfigFields, geometry: RopeGeometry): ScalingSource {
  const key = "original_max_position_embeddings";
  const readMaxLength = () => {
    const length = readOptionalCount(root, "max_position_embeddings");
    if (length === undefined)
      throw malformed(root, "max_position_embeddings", "a whole number above 0", length);
    return length;
  };
  // Phi-3 keeps the original length at the top of its config, and there it wins.
  const readOriginalLength = () =>
    readOptionalCount(root, key) ?? readOptionalCount(fields, key) ?? readMaxLength();
  return { fields, geometry, readMaxLength, readOriginalLength };
}
