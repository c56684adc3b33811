/** What one KV head has cached. Tokens stand in any order unless `LayerView.run` says otherwise; positions tell where. */
export interface HeadView {
  /** `T`. */
  readonly tokens: number;
  /** `G`: query heads that read this head. */
  readonly queryHeads: number;
  /** `[T, keySize]`, as the model caches them: rotated in most models. A joint latent stands for both keys and values. */
  readonly keys: Float32Array;
  /** `[T, valueSize]`. */
  readonly values: Float32Array;
  /** `[T]`, counted from the first token of the prompt. */
  readonly positions: Int32Array;
  /**
   * `[G, W, keySize]`: the last `W` queries of the `G` query heads that read this head, oldest first, as they meet the keys:
   * scores are their products with keys, over `sqrt(keySize)`. Absent where no policy needs them, and in layers of joint latents.
   */
  readonly queries?: Float32Array | undefined;
  /**
   * `[G, W, T]`: how these queries share their attention among the cached tokens; each row sums to 1. Its memory is used again at the
   * next step: what is to be remembered must be copied.
   */
  readonly attention?: Float32Array | undefined;
  /**
   * What each cached token was paid by the last queries together. Each of these paid the tokens that were cached when it was read.
   * Absent like `queries`.
   */
  readonly attentionSums?: AttentionSums | undefined;
}

/** Attention of the query heads that read a head, summed over the last queries. */
export interface AttentionSums {
  /** `[G, T]` */
  readonly sums: Float32Array;
  /** Queries that are summed. */
  readonly queries: number;
}

/** What one layer has cached of one prompt. Views are read-only: what is to change is returned. */
export interface LayerView {
  /** Index of the layer, and how many the model has. */
  readonly layer: number;
  readonly layers: number;
  /** Those that hold tokens. */
  readonly heads: readonly HeadView[];
  /** Tokens that the model has read so far, those included that were dropped. */
  readonly seen: number;
  /**
   * Tokens can only go in whole runs of this many, counted from the first; 1 where each may go alone. Tokens of such layers
   * stand in order, and those after the last whole run stay.
   */
  readonly run: number;
  /**
   * Radians per token of the rotary pairs of keys and queries, half-split; absent where keys are not rotated, or not known to be
   * rotated and nothing else.
   */
  readonly inverseFrequencies?: Float64Array | undefined;
  /** Token ids by position, where they are known. */
  readonly ids?: ArrayLike<number> | undefined;
}
