import type { BlockSpec } from "../model/block-spec.js";
import type { ModelSpec } from "../model/model-spec.js";
import { hasBias, projectionBiases } from "./block-biases.js";

/** A graph that llama.cpp has for plain decoders, by what it computes beside RMS norms, RoPE and gated SiLU units. */
export interface Architecture {
  /** `general.architecture`, and what keys of the metadata begin with. */
  readonly name: "llama" | "qwen2" | "qwen3";
  /** Which numbers of a head it turns together. */
  readonly ropeLayout: "interleaved" | "half-split";
  /** Whether it divides frequencies by the tensor `rope_freqs`, which Llama 3.1's scaling needs. */
  readonly frequencyFactors: boolean;
  /** Whether queries and keys are normalised, head by head. */
  readonly headNorms: boolean;
  /** Which projections may have biases. */
  readonly biases: "any" | "attention inputs" | "none";
}

/** The most special first. */
const architectures: readonly Architecture[] = [
  {
    name: "qwen3",
    ropeLayout: "half-split",
    frequencyFactors: false,
    headNorms: true,
    biases: "none",
  },
  {
    name: "qwen2",
    ropeLayout: "half-split",
    frequencyFactors: false,
    headNorms: false,
    biases: "attention inputs",
  },
  {
    name: "llama",
    ropeLayout: "interleaved",
    frequencyFactors: true,
    headNorms: false,
    biases: "any",
  },
];

export declare namespace findArchitecture {
  interface Options {
    /** Whether every projection is written with a bias, since folding makes some. */
    readonly newBiases: boolean;
  }
}

/** The architecture that computes what `spec` describes, of those for plain decoders; see `plainDecoderObstacle`. */
export const findArchitecture = (
  spec: ModelSpec,
  options: findArchitecture.Options,
): Architecture | undefined =>
  architectures.find((architecture) => spec.blocks.every((block) => fits(architecture, block, options)));

function fits(
  architecture: Architecture,
  block: BlockSpec,
  { newBiases }: findArchitecture.Options,
): boolean {
  const { attention, mlp } = block;
  const [query, key, value] = projectionBiases(attention.projections);
  const inputs = query && key && value;
  const others = attention.output.bias || hasBias(mlp);
  if (architecture.headNorms !== (attention.headNorm !== undefined)) return false;
  if (attention.rope?.ropeType === "llama3" && !architecture.frequencyFactors) return false;
  switch (architecture.biases) {
    case "any":
      return true;
    case "attention inputs":
      return inputs && !others && !newBiases;
    case "none":
      return !(query || key || value || others || newBiases);
  }
}
