/** Rows of weights in four bits, `blocks = ceil(columns / 32)` to each; see quantisation/four-bit-blocks.ts. */
export interface FourBitRows {
  readonly blocks: number;
  /** `[rows, blocks, 16]`. */
  readonly codes: Uint8Array;
  /** `[rows, blocks]`; a scale may be negative. */
  readonly scales: Float32Array;
}
