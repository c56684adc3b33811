import type { RopeParameters } from "@kvfold/rope";
import { type ConfigFields, notNegative, positive } from "../config/config-fields.js";
import type {
  Activation,
  AttentionSource,
  BlockSpec,
  HalfNorms,
  HeadNormPlace,
  HeadNormSource,
  MlpInputSource,
  NormSource,
  ProjectionSource,
} from "../model/block-spec.js";
import type { ModelShape } from "../model/model-shape.js";
import type { HeadSource, ModelSpec, StandardFields } from "../model/model-spec.js";
import {
  checkDivides,
  checkHeadDim,
  dividedHeadDim,
  linear,
  readActivation,
  readHeads,
  readLayers,
  rmsNorm,
  splitProjections,
} from "./parts.js";
import { readRope } from "./read-rope.js";

/**
 * How a family differs from Llama: modules are named `model.layers.N.…` in all of them. Functions take what depends on
 * the layer, or on the name of a module in it.
 */
export interface LlamaVariant {
  /** What transformers assumes of sizes that the config does not have; of those that are left out here, Llama's. */
  readonly defaults?: SizeDefaults;
  /** Field of the norms' epsilon and what transformers assumes without it. */
  readonly epsilon?: readonly [field: string, fallback: number];
  /** Makes a norm of a module; an RMSNorm without it. */
  readonly norm?: (name: string, epsilon: number) => NormSource;
  /** The norms of block `module`; one before each half without it. */
  readonly norms?: (module: string, norm: (name: string) => NormSource) => Halves;
  readonly arrangement?: BlockSpec["arrangement"];
  readonly biases?: { readonly projections: boolean; readonly output: boolean; readonly mlp: boolean };
  readonly projections?: (module: string) => ProjectionSource;
  /** The norms of queries and keys of an attention module. */
  readonly headNorms?: (module: string, shape: ModelShape, epsilon: number) => HeadNorms;
  /** Modules of the MLP; `gate_proj`, `up_proj` and `down_proj` without it. */
  readonly mlp?: (module: string, bias: boolean) => { readonly input: MlpInputSource; readonly down: string };
  readonly activation?: readonly [field: string | readonly string[], fallback: Activation];
  /** Rotary positions of a layer; the config's own in each layer without it. */
  readonly rope?: (layer: number, shape: ModelShape) => RopeParameters | undefined;
  readonly ropeLayout?: AttentionSource["ropeLayout"];
  /** Module of the output projection; `o_proj` without it. */
  readonly output?: string;
  readonly window?: (layer: number) => number | undefined;
  /** What scores are multiplied by; `1 / sqrt(d)` without it. */
  readonly scale?: number | undefined;
  readonly softCap?: number | undefined;
  readonly embeddingScale?: number | undefined;
  /** What both halves' additions to the stream are multiplied by. */
  readonly residualFactor?: number | undefined;
  /** What logits are multiplied by. */
  readonly logitFactor?: number | undefined;
  readonly head?: Partial<Pick<HeadSource, "bias" | "softCap">>;
  readonly finalNorm?: string;
  readonly standardBiases?: StandardFields["biases"];
  readonly prefixes?: readonly string[];
}

interface SizeDefaults {
  readonly tied?: boolean;
  /** Without it, heads share the hidden size. */
  readonly headDim?: number;
  /** Without it, as many as query heads. */
  readonly kvHeads?: number;
  readonly maxPositions?: number;
}

interface Halves {
  readonly attention: HalfNorms<NormSource>;
  readonly mlp: HalfNorms<NormSource>;
}

interface HeadNorms {
  readonly query: HeadNormSource;
  readonly key: HeadNormSource;
  readonly place: HeadNormPlace;
}

/** Describes a decoder that is Llama but for `variant`. */
export function describeLlama(config: ConfigFields, variant: LlamaVariant): ModelSpec {
  const shape = readShape(config, variant);
  const epsilon = config.number(...(variant.epsilon ?? (["rms_norm_eps", 1e-6] as const)), notNegative);
  const { norm = rmsNorm } = variant;
  const block = describeBlock(config, variant, shape, epsilon);
  return {
    shape,
    embedding: {
      tokens: "model.embed_tokens",
      width: shape.hiddenSize,
      scale: variant.embeddingScale,
      norm: undefined,
      positions: undefined,
      projection: undefined,
    },
    blocks: Array.from({ length: shape.layers }, (_, layer) => block(layer)),
    head: {
      norm: { ...norm(variant.finalNorm ?? "model.norm", epsilon), factor: variant.logitFactor ?? 1 },
      projection: undefined,
      table: "lm_head",
      tied: shape.tiedEmbeddings,
      bias: false,
      softCap: undefined,
      ...variant.head,
    },
    standard: { kvHeads: "num_key_value_heads", biases: variant.standardBiases },
    prefixes: variant.prefixes ?? [""],
    // Checkpoints of the time before transformers 4.32 carry the frequencies of each layer.
    ignoredTensors: /\.rotary_emb\.inv_freq$/,
  };
}

function readShape(config: ConfigFields, { defaults = {} }: LlamaVariant): ModelShape {
  const hiddenSize = config.count("hidden_size");
  const heads = readHeads(config, "num_attention_heads");
  const kvHeads = config.nullableCount("num_key_value_heads", defaults.kvHeads) ?? heads;
  checkDivides(kvHeads, "KV heads", heads, "a query head count");
  const headDim = config.nullableCount("head_dim", defaults.headDim);
  return {
    hiddenSize,
    layers: readLayers(config, "num_hidden_layers"),
    heads,
    kvHeads,
    headDim: headDim === undefined ? dividedHeadDim(hiddenSize, heads) : checkHeadDim(headDim),
    vocabSize: config.count("vocab_size"),
    maxPositions: config.count("max_position_embeddings", defaults.maxPositions ?? 2048),
    tiedEmbeddings: config.flag("tie_word_embeddings", defaults.tied ?? false),
  };
}

function describeBlock(config: ConfigFields, variant: LlamaVariant, shape: ModelShape, epsilon: number) {
  const { norm = rmsNorm, norms = inputNorms, arrangement = "sequential" } = variant;
  const biases = variant.biases ?? { projections: false, output: false, mlp: false };
  const mlp = {
    activation: readActivation(config, ...(variant.activation ?? (["hidden_act", "silu"] as const))),
    width: config.count("intermediate_size"),
  };
  const attention = describeAttention(config, variant, shape, epsilon);
  return (layer: number): BlockSpec => {
    const module = `model.layers.${layer}`;
    const halves = norms(module, (name) => norm(`${module}.${name}`, epsilon));
    const { input, down } = (variant.mlp ?? gatedMlp)(`${module}.mlp`, biases.mlp);
    return {
      arrangement,
      attentionNorms: halves.attention,
      mlpNorms: halves.mlp,
      attention: attention(`${module}.self_attn`, layer),
      mlp: { ...mlp, input, down: linear(down, biases.mlp, { factor: variant.residualFactor }) },
    };
  };
}

function describeAttention(config: ConfigFields, variant: LlamaVariant, shape: ModelShape, epsilon: number) {
  const { heads, kvHeads, headDim } = shape;
  const biases = variant.biases ?? { projections: false, output: false };
  const { rope = () => readRope(config, shape), window = () => undefined } = variant;
  return (module: string, layer: number): AttentionSource => {
    const headNorms = variant.headNorms?.(module, shape, epsilon);
    return {
      heads,
      kvHeads,
      headDim,
      scale: variant.scale ?? 1 / Math.sqrt(headDim),
      rope: rope(layer, shape),
      ropeLayout: variant.ropeLayout ?? "half-split",
      alibiSlopes: undefined,
      window: window(layer),
      softCap: variant.softCap,
      headNorm: headNorms?.place,
      queryNorm: headNorms?.query,
      keyNorm: headNorms?.key,
      projections: variant.projections?.(module) ?? splitProjections(module, biases.projections),
      output: linear(`${module}.${variant.output ?? "o_proj"}`, biases.output, {
        factor: variant.residualFactor,
      }),
    };
  };
}

/** One norm before each half. */
const inputNorms: NonNullable<LlamaVariant["norms"]> = (_, norm) => ({
  attention: { input: norm("input_layernorm") },
  mlp: { input: norm("post_attention_layernorm") },
});

/** Norms of what each half adds, none before it (OLMo 2, EXAONE 4). */
export const outputNorms: NonNullable<LlamaVariant["norms"]> = (_, norm) => ({
  attention: { output: norm("post_attention_layernorm") },
  mlp: { output: norm("post_feedforward_layernorm") },
});

const gatedMlp: NonNullable<LlamaVariant["mlp"]> = (module, bias) => ({
  input: {
    layout: "gated",
    gate: linear(`${module}.gate_proj`, bias),
    up: linear(`${module}.up_proj`, bias),
  },
  down: `${module}.down_proj`,
});

export const fusedGatedMlp: NonNullable<LlamaVariant["mlp"]> = (module, bias) => ({
  input: { layout: "fused-gated", fused: linear(`${module}.gate_up_proj`, bias) },
  down: `${module}.down_proj`,
});

/** An MLP without a gate. */
export const plainMlp =
  (up: string, down: string): NonNullable<LlamaVariant["mlp"]> =>
  (module, bias) => ({
    input: { layout: "plain", up: linear(`${module}.${up}`, bias) },
    down: `${module}.${down}`,
  });

/** Norms of single heads before the rotation, one weight for all heads (Qwen 3, Gemma 3, EXAONE 4). */
export const sharedHeadNorms =
  (
    names: readonly [query: string, key: string],
    place: HeadNormPlace = "before-rotation",
    weightOffset = 0,
  ): NonNullable<LlamaVariant["headNorms"]> =>
  (module, _, epsilon) => {
    const source = (name: string): HeadNormSource => ({
      kind: "rms",
      epsilon,
      over: "shared",
      names: [`${module}.${name}`],
      weightOffset,
    });
    return { query: source(names[0]), key: source(names[1]), place };
  };

/** A finite factor above 0 from the config. */
export const factor = (config: ConfigFields, name: string, fallback = 1): number =>
  config.number(name, fallback, positive);
