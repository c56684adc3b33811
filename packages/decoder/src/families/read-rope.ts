/** Rotary positions of a family, read out of configs of transformers 5 (`rope_parameters`) and before. */

import { type RopeParameters, ropeParameters } from "@kvfold/rope";
import { type ConfigFields, createConfigFields, malformed, positive } from "../config/config-fields.js";
import { DecoderError } from "../decoder-error.js";
import type { ModelShape } from "../model/model-shape.js";
import type { LayerType } from "./layer-types.js";

/** What rotary positions need to know of the model. */
export type RopeShape = Pick<ModelShape, "headDim" | "maxPositions">;

export declare namespace readRope {
  interface Options {
    /** Base where the config names none. */
    readonly defaultTheta?: number;
    /** Share of a head that turns where the config does not say. Without it, the family turns whole heads only. */
    readonly defaultShare?: number;
    /** Fields beside `rope_scaling` that hold base and share. */
    readonly names?: { readonly theta: string; readonly share: string };
    /** The family's own names of scalings. */
    readonly renamed?: Readonly<Record<string, string>>;
    /** `original_max_position_embeddings` where the top of the config does not have it, whatever the scaling says. */
    readonly originalPositions?: number;
  }
}

/** @throws {DecoderError} `malformed-checkpoint` when the fields cannot be read. */
export function readRope(
  config: ConfigFields,
  shape: RopeShape,
  {
    defaultTheta = 10_000,
    defaultShare,
    names = { theta: "rope_theta", share: "partial_rotary_factor" },
    renamed = {},
    originalPositions,
  }: readRope.Options = {},
): RopeParameters {
  const name = config.raw("rope_scaling") === undefined ? "rope_parameters" : "rope_scaling";
  const scaling = config.inside(name);
  const stated = scaling.raw("rope_type") ?? scaling.raw("type");
  const isRenamed = typeof stated === "string" && Object.hasOwn(renamed, stated);
  const originalLength = config.nullableCount("original_max_position_embeddings", originalPositions);
  return parseRope(shape, {
    [name]: { ...readScaling(scaling), ...(isRenamed ? { rope_type: renamed[stated] } : {}) },
    rope_theta: config.number(names.theta, config.number("rope_theta", defaultTheta, positive), positive),
    partial_rotary_factor: readShare(config, scaling, names.share, defaultShare),
    original_max_position_embeddings: originalLength,
  });
}

export declare namespace readLayerRope {
  interface Options {
    readonly layerType: LayerType;
    /** Field at the top of older configs that holds the base of this kind of layer. */
    readonly thetaField: string;
    readonly defaultTheta: number;
  }
}

/**
 * The same where layers of different kinds turn differently: `rope_parameters` has an entry for each kind. In configs
 * of before transformers 5, `rope_scaling` is about layers of full attention alone.
 *
 * @throws {DecoderError} `malformed-checkpoint` when the fields cannot be read.
 */
export function readLayerRope(
  config: ConfigFields,
  shape: RopeShape,
  { layerType, thetaField, defaultTheta }: readLayerRope.Options,
): RopeParameters {
  return parseRope(shape, {
    rope_parameters: readScaling(layerScaling(config, layerType)),
    rope_theta: config.number(thetaField, defaultTheta, positive),
  });
}

function layerScaling(config: ConfigFields, layerType: LayerType): ConfigFields {
  const listed = config.raw("rope_parameters");
  if (listed === undefined)
    return layerType === "full_attention" ? config.inside("rope_scaling") : createConfigFields({});
  const kinds = config.inside("rope_parameters");
  const isListed = Object.values(kinds.values).every((value) => typeof value === "object");
  if (!isListed)
    throw malformed("rope_parameters", "an object with one entry for each kind of layer", listed);
  kinds.markRead("full_attention", "sliding_attention");
  return kinds.inside(layerType);
}

/** Fields of all scalings; what else a config has there is reported. */
const SCALING_FIELDS = [
  "rope_type",
  "type",
  "rope_theta",
  "partial_rotary_factor",
  "factor",
  "original_max_position_embeddings",
  "attention_factor",
  "beta_fast",
  "beta_slow",
  "mscale",
  "mscale_all_dim",
  "truncate",
  "short_factor",
  "long_factor",
  "low_freq_factor",
  "high_freq_factor",
];

function readScaling(scaling: ConfigFields): Readonly<Record<string, unknown>> {
  scaling.markRead(...SCALING_FIELDS);
  return scaling.values;
}

/** The share of a head that turns, where the family has a choice. */
function readShare(
  config: ConfigFields,
  scaling: ConfigFields,
  name: string,
  defaultShare: number | undefined,
): number | undefined {
  const share = config.nullable(name, defaultShare) ?? 1;
  if (defaultShare !== undefined) return share;
  const stated = scaling.nullable("partial_rotary_factor", share);
  if (stated === 1) return undefined;
  throw malformed(name, "1 (models of this type turn whole heads)", stated);
}

function parseRope({ headDim, maxPositions }: RopeShape, fields: object): RopeParameters {
  const sizes = { head_dim: headDim, max_position_embeddings: maxPositions };
  try {
    return ropeParameters({ ...sizes, ...fields });
  } catch (cause) {
    throw new DecoderError("malformed-checkpoint", `config.json: ${(cause as Error).message}`, { cause });
  }
}
