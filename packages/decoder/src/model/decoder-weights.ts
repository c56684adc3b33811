/** An affine map `y = x W + b` in row-vector convention. */
export interface Linear {
  readonly inputs: number;
  readonly outputs: number;
  /** `[inputs, outputs]`, row-major: the transpose of what Hugging Face checkpoints store. */
  readonly weight: Float32Array;
  /** `[outputs]`. */
  readonly bias: Float32Array | undefined;
}

/** Weights of an RMSNorm (`bias` absent) or LayerNorm, each `[D]`. */
export interface NormWeights {
  readonly weight: Float32Array;
  readonly bias: Float32Array | undefined;
}

/** Heads and head size of one side of the KV cache: `heads * size` numbers per token. */
export interface CacheShape {
  readonly heads: number;
  readonly size: number;
}

/**
 * Products that remain at run time when keys are folded after the rotation: a rotated key group `[s*d]` times
 * `encode[group]` goes to the cache, a rotated query head `[d]` times `decode[head]` reads it.
 */
export interface RotatedBasis {
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
  /** `Hkv`, KV heads after the expansion. */
  readonly heads: number;
  /** `[keys.heads, keys.size, s * d]`, or `[1, keys.size, s * d]` where all latents of the layer decode alike. */
  readonly decode: Float32Array;
}

/** Attention of one block, folded or not: the graph follows from these shapes alone. */
export interface AttentionWeights {
  /** `H`, query heads. */
  readonly heads: number;
  /** `d`, size of a query or key head while it is rotated; scores are divided by its root. */
  readonly headDim: number;
  readonly keys: CacheShape;
  readonly values: CacheShape;
  /** To `H * d` where `rotated` or `expanded` is present, else to `H * keys.size`. */
  readonly query: Linear;
  /** To the input's `Hkv * d` where `rotated` is present, else to `keys.heads * keys.size`. */
  readonly key: Linear;
  /** To `values.heads * values.size`. */
  readonly value: Linear;
  /** From `H * values.size` to `D`. */
  readonly output: Linear;
  /** Absent when keys enter the cache as they leave their projection or the rotation. */
  readonly rotated: RotatedBasis | undefined;
  /** Present when keys enter the cache before the rotation; never together with `rotated`. */
  readonly expanded?: KeyExpansion | undefined;
  /** `[keys.size / 2]`: frequency of each rotated pair, where it is not the model's own order. */
  readonly slots?: readonly number[] | undefined;
}

/** The feed-forward half of a block; `gate` is present for gated units (SwiGLU). */
export interface MlpWeights {
  readonly gate: Linear | undefined;
  readonly up: Linear;
  readonly down: Linear;
}

/** One decoder block. */
export interface BlockWeights {
  readonly attentionNorm: NormWeights;
  readonly attention: AttentionWeights;
  readonly mlpNorm: NormWeights;
  readonly mlp: MlpWeights;
}

/** What lies before the first block. */
export interface EmbeddingWeights {
  /** `[V, D]`. */
  readonly table: Float32Array;
  readonly norm: NormWeights | undefined;
}

/** What lies behind the last block; without `head` the embedding table is the head. */
export interface HeadWeights {
  readonly norm: NormWeights;
  /** `[V, D]`, as the embedding table. */
  readonly table: Float32Array | undefined;
}
