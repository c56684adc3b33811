/** Small parts that descriptions of families are put together from. */

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
import { showValue } from "../show-value.js";

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
    `config.json: activation ${showValue(name)} is not supported; known are ${Object.keys(activationAliases).join(", ")}`,
  );
}

/** More than any model has: layers, heads and the numbers of a head become objects before a weight is read. */
const MAX_LAYERS = 4096;
const MAX_HEADS = 65_536;
const MAX_HEAD_DIM = 65_536;

export const readLayers = (config: ConfigFields, names: string | readonly string[]): number =>
  checkAtMost(MAX_LAYERS, "layers", config.count(names));

export const readHeads = (config: ConfigFields, names: string | readonly string[]): number =>
  checkAtMost(MAX_HEADS, "query heads", config.count(names));

export const checkHeadDim = (headDim: number): number =>
  checkAtMost(MAX_HEAD_DIM, "numbers in a head", headDim);

function checkAtMost(limit: number, what: string, found: number): number {
  if (found <= limit) return found;
  throw malformed(`the number of ${what}`, `at most ${limit}`, found);
}

/** Size of a head where heads share the hidden size. */
export function dividedHeadDim(hiddenSize: number, heads: number): number {
  checkDivides(heads, "heads", hiddenSize, "a hidden size");
  return checkHeadDim(hiddenSize / heads);
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
