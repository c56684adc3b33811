import type { RopeParameters } from "@kvfold/rope";

/**
 * What one decoder block computes, and where a checkpoint keeps its weights. A family derives it from the config; the
 * loader, the graph emitters and the checkpoint writer read nothing else. Functions of a block are written
 * `y = x W + b` (row vectors).
 */
export interface BlockSpec {
  readonly attention: AttentionSource;
  readonly mlp: MlpSource;
  /**
   * `sequential`: the MLP reads the stream that attention has added to. `parallel`: attention and MLP both read the
   * block's input, and both are added to it.
   */
  readonly arrangement: Arrangement;
  readonly attentionNorms: HalfNorms<NormSource>;
  readonly mlpNorms: HalfNorms<NormSource>;
}

export type Arrangement = "sequential" | "parallel";

/** The norms around one half of a block: `residual(x + output(f(input(x))))`, each of them optional. */
export interface HalfNorms<Norm> {
  /** Before the sub-layer. */
  readonly input?: Norm | undefined;
  /** Of what the sub-layer adds (Gemma 2, OLMo 2). */
  readonly output?: Norm | undefined;
  /** Of the sum (OPT-350m). */
  readonly residual?: Norm | undefined;
}

/** How attention of one layer works, folded or not. */
export interface AttentionSpec {
  /** `H`, query heads. */
  readonly heads: number;
  /** `Hkv`, KV heads of the unfolded model; divides `H`. */
  readonly kvHeads: number;
  /** `d`, size of an unfolded head. */
  readonly headDim: number;
  /** What scores `q . k` are multiplied by; `1 / sqrt(d)` in most families. */
  readonly scale: number;
  /** Rotary positions: the first `rotaryDim` numbers of a head turn, in half-split layout. Absent in layers without. */
  readonly rope: RopeParameters | undefined;
  /** ALiBi slopes, one per query head: `-slope * distance` is added to the scores. */
  readonly alibiSlopes: readonly number[] | undefined;
  /** A query sees this many keys at most, its own included; `undefined` sees all. */
  readonly window: number | undefined;
  /** Scores become `cap * tanh(score / cap)` before the mask. */
  readonly softCap: number | undefined;
  /** When queries and keys are normalised, where they are. */
  readonly headNorm: HeadNormPlace | undefined;
}

/** Where norms of queries and keys stand: before the rotation in most families, after it in Hunyuan. */
export type HeadNormPlace = "before-rotation" | "after-rotation";

/** Activation functions of feed-forward layers, under the names of Hugging Face configs. */
export type Activation = "silu" | "gelu_pytorch_tanh" | "gelu" | "relu" | "relu2";

export type NormKind = "rms" | "layer";

/** A norm over the last axis. */
export interface NormSpec {
  readonly kind: NormKind;
  readonly epsilon: number;
}

/** Where a checkpoint keeps a norm. */
export interface NormSource extends NormSpec {
  /** Name of the module; `.weight` and `.bias` follow. */
  readonly name: string;
  readonly bias: boolean;
  /** What is added to the stored weight before it multiplies: 1 where checkpoints store `w - 1` (Gemma, Nemotron). */
  readonly weightOffset?: number;
  /** A constant that weight and bias are multiplied by at load, so that no graph has to. */
  readonly factor?: number;
}

/** Where a checkpoint keeps the norm of queries or keys. */
export interface HeadNormSource extends NormSpec {
  /**
   * `shared`: one weight `[d]` for all heads. `by-head`: norms of single heads, weights `[heads, d]` of their own.
   * `whole`: one norm over all heads side by side, `[heads * d]`.
   */
  readonly over: HeadNormSpan;
  /** Modules that hold the weight: one, or one for each head. */
  readonly names: readonly string[];
  readonly weightOffset?: number;
}

export type HeadNormSpan = "shared" | "by-head" | "whole";

/** Where a checkpoint keeps a linear layer. */
export interface LinearSource {
  /** Name of the module; `.weight` and `.bias` follow. */
  readonly name: string;
  readonly bias: boolean;
  /** `[outputs, inputs]` unless said otherwise; GPT-2 stores `[inputs, outputs]`. */
  readonly order?: "inputs-first" | undefined;
  /** A constant that weight and bias are multiplied by at load, so that no graph has to. */
  readonly factor?: number | undefined;
}

/** How a checkpoint stores the projections to queries, keys and values. */
export type ProjectionSource =
  | {
      readonly layout: "split";
      readonly query: LinearSource;
      readonly key: LinearSource;
      readonly value: LinearSource;
    }
  /** One tensor: all query heads, then all key heads, then all value heads. */
  | { readonly layout: "contiguous"; readonly fused: LinearSource }
  /** One tensor: for each KV head the query heads that read it, its key head, its value head. */
  | { readonly layout: "grouped"; readonly fused: LinearSource };

export interface AttentionSource extends AttentionSpec {
  readonly projections: ProjectionSource;
  readonly output: LinearSource;
  readonly queryNorm: HeadNormSource | undefined;
  readonly keyNorm: HeadNormSource | undefined;
  /**
   * Which numbers of a stored head turn together: `half-split` `(j, j + r/2)` or `interleaved` `(2j, 2j + 1)`. The loader
   * brings all heads to half-split order.
   */
  readonly ropeLayout: "half-split" | "interleaved";
}

export interface MlpSource {
  readonly activation: Activation;
  /** `I`, width of the hidden layer. */
  readonly width: number;
  readonly input: MlpInputSource;
  readonly down: LinearSource;
}

/** Gated units have a gate, in a tensor of its own or in front of `up` in one tensor. */
export type MlpInputSource =
  | { readonly layout: "plain"; readonly up: LinearSource }
  | { readonly layout: "gated"; readonly gate: LinearSource; readonly up: LinearSource }
  | { readonly layout: "fused-gated"; readonly fused: LinearSource };
