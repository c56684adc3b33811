/** What a fold is to reach, in place of a share of the cache. */
export type Goal =
  /** How much perplexity may rise, as a share: 0.02. */
  | { readonly maxLoss: number }
  /** Bytes of cache that a token may take, all layers. */
  | { readonly maxBytes: number };

/** A share that was folded to, and what that cost. */
export interface TriedShare {
  readonly keep: string;
  /** How much perplexity rose on held-out windows, as a share. */
  readonly loss: number;
}

/** How a fold kept within a loss, for `kvfold.json` and the user. */
export interface LossReport {
  readonly maxLoss: number;
  /** Of the fold that was taken. */
  readonly loss: number;
  readonly heldOut: { readonly windows: number; readonly window: number };
  /** All folds, in their order. */
  readonly tried: readonly TriedShare[];
}
