/** Small parts that descriptions of families are put together from. */

import { type RopeParameters, ropeParameters } from "@kvfold/rope";
import { type ConfigFields, malformed } from "../config/config-fields.js";
import { DecoderError } from "../decoder-error.js";
import type {
  Activation,
  HeadNormSource,
  LinearSource,
  NormKind,
  NormSource,
  ProjectionSource,
} from "../model/block-spec.js";

export const linear = (
  name: string,
  bias: boolean,
  options: Pick<LinearSource, "factor" | "order"> = {},
): LinearSource => ({ name, bias, ...options });

export const rmsNorm = (name: string, epsilon: number, weightOffset = 0): NormSource => ({
  kind: "rms",
  name,
  epsilon,
  bias: false,
  weightOffset,
});

export const layerNorm = (name: string, epsilon: number, bias = true): NormSource => ({
  kind: "layer",
  name,
  epsilon,
  bias,
});

/** A norm over all heads of a layer at once, weight `[heads * d]`. */
export const wholeNorm = (name: string, epsilon: number): HeadNormSource => ({
  kind: "rms",
  epsilon,
  over: "whole",
  names: [name],
});

/** LayerNorms of single heads without bias, each with a weight of its own: in one tensor or in one for each head. */
export const ownHeadNorms = (names: readonly string[], epsilon: number): HeadNormSource => ({
  kind: "layer" satisfies NormKind,
  epsilon,
  over: "by-head",
  names,
});

/** Separate projections under a module, with or without biases. */
export const splitProjections = (
  module: string,
  bias: boolean,
  [query, key, value]: readonly [string, string, string] = ["q_proj", "k_proj", "v_proj"],
): ProjectionSource => ({
  layout: "split",
  query: linear(`${module}.${query}`, bias),
  key: linear(`${module}.${key}`, bias),
  value: linear(`${module}.${value}`, bias),
});

const activationAliases: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_new: "gelu_pytorch_tanh",
  gelu_fast: "gelu_pytorch_tanh",
  gelu_pytorch_tanh: "gelu_pytorch_tanh",
  relu: "relu",
  relu2: "relu2",
};

/** @throws {DecoderError} `unsupported-model` for an activation that no graph has. */
export function readActivation(
  config: ConfigFields,
  names: string | readonly string[],
  fallback: Activation,
): Activation {
  const name = config.text(names, fallback);
  if (Object.hasOwn(activationAliases, name)) return activationAliases[name]!;
  throw new DecoderError(
    "unsupported-model",
    `config.json: activation ${JSON.stringify(name)} is not supported; known are ${Object.keys(activationAliases).join(", ")}`,
  );
}

/** Fields that describe rotary positions, of transformers 5 and before. */
const ROPE_FIELDS = [
  "rope_parameters",
  "rope_scaling",
  "rope_theta",
  "partial_rotary_factor",
  "rotary_pct",
  "rotary_emb_base",
  "rope_local_base_freq",
  "original_max_position_embeddings",
];

export declare namespace readRope {
  interface Options {
    readonly headDim: number;
    /** Which entry to read where a config has one for each kind of layer. */
    readonly layerType?: string;
    readonly defaultTheta?: number;
    /** Share of a head that turns where the config does not say. */
    readonly defaultShare?: number;
  }
}

/** @throws {DecoderError} `malformed-checkpoint` when the fields cannot be read. */
export function readRope(
  config: ConfigFields,
  { headDim, layerType, defaultTheta = 10_000, defaultShare }: readRope.Options,
): RopeParameters {
  config.markRead(...ROPE_FIELDS);
  const fields = { ...config.values, head_dim: headDim };
  const defaults =
    defaultShare !== undefined && !saysShare(config) ? { partial_rotary_factor: defaultShare } : {};
  try {
    return ropeParameters(
      { ...fields, ...defaults },
      { layerType: layerType ?? "full_attention", defaultTheta },
    );
  } catch (cause) {
    throw new DecoderError("malformed-checkpoint", `config.json: ${(cause as Error).message}`, { cause });
  }
}

const saysShare = ({ values }: ConfigFields): boolean =>
  [values, values.rope_parameters, values.rope_scaling].some(
    (fields) =>
      typeof fields === "object" &&
      fields !== null &&
      ["partial_rotary_factor", "rotary_pct"].some(
        (name) => (fields as Record<string, unknown>)[name] != null,
      ),
  );

export type LayerType = "full_attention" | "sliding_attention";

/** The kind of each layer: as the config lists them, else by the family's rule. */
export function readLayerTypes(
  config: ConfigFields,
  layers: number,
  rule: (layer: number) => LayerType,
): readonly LayerType[] {
  const listed = config.list("layer_types", layers);
  if (listed === undefined) return Array.from({ length: layers }, (_, layer) => rule(layer));
  return listed.slice(0, layers).map((type) => {
    if (type === "full_attention" || type === "sliding_attention") return type;
    throw malformed("layer_types", "a list of full_attention and sliding_attention", type);
  });
}

/** Size of a head: as the config says, else what heads leave of the hidden size. */
export function readHeadDim(config: ConfigFields, hiddenSize: number, heads: number): number {
  const headDim = config.optionalCount("head_dim");
  if (headDim !== undefined) return headDim;
  checkDivides(heads, "heads", hiddenSize, "a hidden size");
  return hiddenSize / heads;
}

export function checkDivides(parts: number, partNames: string, whole: number, wholeName: string): void {
  if (whole % parts === 0) return;
  throw new DecoderError(
    "malformed-checkpoint",
    `config.json: ${parts} ${partNames} do not divide ${wholeName} of ${whole}; is it the config of these weights?`,
  );
}

/** @throws {DecoderError} `unsupported-model` when `condition` holds. */
export function refuse(condition: boolean, family: string, reason: string): void {
  if (condition) throw new DecoderError("unsupported-model", `config.json: ${family} with ${reason}`);
}
