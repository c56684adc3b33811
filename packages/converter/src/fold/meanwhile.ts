/** What is done of the next block while refits of this one are solved, in this order. */
export interface Meanwhile {
  /** Writes no stream: this block's are still in use. */
  readonly measureAttention: () => Promise<void>;
  readonly measureProjections: () => Promise<void>;
}
