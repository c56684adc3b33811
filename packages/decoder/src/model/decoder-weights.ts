import type {
  Activation,
  Arrangement,
  AttentionSpec,
  HalfNorms,
  HeadNormSpan,
  NormSpec,
} from "./block-spec.js";
import type { FourBitRows } from "./four-bit-rows.js";
import type { StoredMatrix } from "./stored-matrix.js";

/** An affine map `y = x W + b` in row-vector convention. */
export interface Linear {
  readonly inputs: number;
  readonly outputs: number;
  /** `[inputs, outputs]`, row-major: the transpose of what Hugging Face checkpoints store. Empty where `stored` has it. */
  readonly weight: Float32Array;
  /** A weight that outputs take from the checkpoint themselves: only blocks of `leaveWeights` have one. */
  readonly stored?: StoredWeight | undefined;
  /** What `weight` is in four bits, a row for each output, where it was rounded to them; q4 outputs write these. */
  readonly fourBit?: FourBitRows | undefined;
  /** `[outputs]`. */
  readonly bias: Float32Array | undefined;
}

/** A weight that is still in its checkpoint. */
export interface StoredWeight {
  readonly matrix: StoredMatrix;
  /** Whether the matrix is `[outputs, inputs]`. */
  readonly isTransposed: boolean;
}

/** In place of numbers that are still in a checkpoint. */
export const NO_NUMBERS: Float32Array = new Float32Array(0);

/** A norm over the last axis with its weight `[D]`, as it multiplies: what checkpoints store as `w - 1` is put back. */
export interface NormWeights extends NormSpec {
  readonly weight: Float32Array;
  /** `[D]`; LayerNorms may have one. */
  readonly bias: Float32Array | undefined;
}

/** The norm of queries or keys: `[d]` where heads share it, else `[heads * d]`. */
export interface HeadNormWeights extends NormSpec {
  readonly over: HeadNormSpan;
  readonly weight: Float32Array;
}

/** Heads and head size of one side of the KV cache: `heads * size` numbers per token. */
export interface CacheShape {
  readonly heads: number;
  readonly size: number;
}

/**
 * Products that a folded layer makes at run time where keys cannot fold into the weights: a group of keys `[s*d]` times
 * `encode[group]`, a query head `[d]` times `decode[head]`.
 */
export interface KeyBasis {
  /** `[keys.heads, s * d, keys.size]`. */
  readonly encode: Float32Array;
  /** `[heads, d, keys.size]`. */
  readonly decode: Float32Array;
}

/**
 * How keys that enter the cache before the rotation are read: at each use a cached latent `[keys.size]` times
 * `decode[latent]` gives the keys of its group again, `[s * d]`, and these are rotated by their own positions.
 */
export interface KeyExpansion {
  /** `[keys.heads, s * d, keys.size]`, where keys are normalised on their way and cannot be encoded by their weights. */
  readonly encode: Float32Array | undefined;
  /** `[keys.heads, keys.size, s * d]`, or `[1, keys.size, s * d]` where all latents of the layer decode alike. */
  readonly decode: Float32Array;
}

/**
 * Keys before the rotation and values of a group of `s` heads in one latent `z [r]` (docs/method.md, Anchored latents). It
 * is cached as two halves of `r / 2`, under the names of keys and values. A key is turned by its offset within its chunk
 * before it is encoded; a query is turned by its distance to the start of the chunk. So no key is ever expanded, unless all
 * chunks have one slot. `value` of the attention goes to `groups * r` and gives what values add to the latent.
 */
export interface JointLatent {
  /**
   * `[rotaryDim / 2]`: slots of a chunk for each rotating pair of a head, powers of two. All 1: keys enter the latent
   * unturned and are expanded before each use. Empty where nothing turns.
   */
  readonly chunks: readonly number[];
  /** `[groups, s * d, r]`: what keys add to the latent. Absent where `key` goes to `groups * r` and gives that itself. */
  readonly encodeKeys: Float32Array | undefined;
  /** `[groups, r, s * d]`: from the latent to keys, turned as they were encoded. */
  readonly decodeKeys: Float32Array;
  /** `[H, r, n]`: from the latent to what `output` reads of each query head, `n` numbers. */
  readonly decodeValues: Float32Array;
  /** What calibration knows of the latents, for quantised caches; absent where nothing is known. */
  readonly statistics?: LatentStatistics | undefined;
}

/** What is known of joint latents, numbers of unit mean square that are not correlated with each other. */
export interface LatentStatistics {
  /** `[Hkv * d]`: the mean keys before the rotation; absent where no key turns before it is encoded. */
  readonly keyMeans?: Float32Array | undefined;
  /** `[groups * r]`: the mean latent, but for what these keys add to it. */
  readonly rest: Float32Array;
  /** `[groups * r]`: what an error of one in a number costs, in any unit. */
  readonly costs: Float32Array;
}

/** Attention of one block, folded or not: the graph follows from these shapes alone. */
export interface AttentionWeights extends AttentionSpec {
  readonly keys: CacheShape;
  readonly values: CacheShape;
  /** To `H * d`; to `H * keys.size` where keys are folded into the weights. */
  readonly query: Linear;
  /** To `Hkv * d`; to `keys.heads * keys.size` where keys are folded into the weights. */
  readonly key: Linear;
  /** To `values.heads * values.size`. */
  readonly value: Linear;
  /** From `H * values.size` to `D`. */
  readonly output: Linear;
  readonly queryNorm: HeadNormWeights | undefined;
  readonly keyNorm: HeadNormWeights | undefined;
  /** Products after norm and rotation. */
  readonly rotated: KeyBasis | undefined;
  /** Products between norm and rotation, which must then keep frequencies apart; see `slots`. */
  readonly unrotated?: KeyBasis | undefined;
  /** Present when keys enter the cache before the rotation; never together with the others. */
  readonly expanded?: KeyExpansion | undefined;
  /**
   * Present when keys and values share latents; never together with the others. `keys` and `values` are then the two
   * halves: `groups` heads of `r / 2` numbers each.
   */
  readonly joint?: JointLatent | undefined;
  /** `[keys.size / 2]`: frequency of each rotated pair, where it is not the model's own order. */
  readonly slots?: readonly number[] | undefined;
}

/** The feed-forward half of a block; `gate` is present for gated units (SwiGLU). */
export interface MlpWeights {
  readonly activation: Activation;
  readonly gate: Linear | undefined;
  readonly up: Linear;
  readonly down: Linear;
}

/** One decoder block: its description and its weights. */
export interface BlockWeights {
  readonly arrangement: Arrangement;
  readonly attentionNorms: HalfNorms<NormWeights>;
  readonly attention: AttentionWeights;
  readonly mlpNorms: HalfNorms<NormWeights>;
  readonly mlp: MlpWeights;
}

/** What lies before the first block. */
export interface EmbeddingWeights {
  /** `[V, width]`; empty where `storedTable` has it. */
  readonly table: Float32Array;
  /** A table that outputs take from the checkpoint themselves. */
  readonly storedTable?: StoredMatrix | undefined;
  /** What looked-up rows are multiplied by. */
  readonly scale: number | undefined;
  readonly norm: NormWeights | undefined;
  /** Learned positions `[rows, D]`: row `position + offset` is added. */
  readonly positions: { readonly table: Float32Array; readonly offset: number } | undefined;
  /** From the table's width to `D`. */
  readonly projection: Linear | undefined;
}

/** What lies after the last block; without `table` the embedding table is the head. */
export interface HeadWeights {
  readonly norm: NormWeights | undefined;
  /** From `D` to the table's width. */
  readonly projection: Linear | undefined;
  /** `[V, width]`, as the embedding table; empty where `storedTable` has it. */
  readonly table: Float32Array | undefined;
  /** A table that outputs take from the checkpoint themselves. */
  readonly storedTable?: StoredMatrix | undefined;
  /** `[V]`. */
  readonly bias: Float32Array | undefined;
  /** Logits become `cap * tanh(logit / cap)`. */
  readonly softCap: number | undefined;
}
