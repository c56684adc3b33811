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

/** Windows that a fold did not see. */
interface HeldOut {
  readonly windows: number;
  readonly window: number;
}

/** A way to fold that was compared with others. */
export interface ComparedFold {
  readonly method: string;
  readonly budget: string;
  /** The share of the cache that it was compared at. */
  readonly keep: string;
  /** How much perplexity would rise, by the energy that latents of that share lose. */
  readonly estimate: number;
  /** How much it rose in a short fold; absent where the estimate left it without a chance. */
  readonly loss?: number;
}

/** How method and budget were chosen, the chosen one first. */
export interface Comparison {
  /** That each short fold was fitted to. */
  readonly windows: number;
  readonly candidates: readonly ComparedFold[];
}

/** How a fold kept within a loss, for `kvfold.json` and the user. */
export interface LossReport {
  readonly maxLoss: number;
  /** Of the fold that was taken. */
  readonly loss: number;
  readonly heldOut: HeldOut;
  /** All folds to the end, in their order. */
  readonly tried: readonly TriedShare[];
  /** Where there was more than one way to fold. */
  readonly compared?: Comparison;
}

/** How a fold was chosen that takes no more than so many bytes. */
export interface BytesReport {
  readonly maxBytes: number;
  readonly compared: Comparison;
}

export type GoalReport = LossReport | BytesReport;
