import type { RopeTables } from "../model/rope-tables.js";

/**
 * Values that all blocks of a graph share and that depend on positions alone. Which ones exist follows from the
 * attention that the blocks use; the two sources are a decoder's `attention_mask` (dynamic-positions.ts) and a
 * calibration window of fixed length (static-positions.ts).
 */
export interface Positions {
  /** int64 `[B, S]`, position of each query. */
  readonly positionIds: string | undefined;
  /** int64 `[B, T]`, position of each key, cached ones included; written when a block first asks for it. */
  readonly keyPositionIds: () => string;
  /** `[P, d/2]` each. */
  readonly rope: { readonly cos: string; readonly sin: string } | undefined;
  /** For GroupQueryAttention: int32 `[B]`, index of the last key; int32 scalar, number of keys. */
  readonly lengths: { readonly lastKey: string; readonly total: string } | undefined;
  /** For plain attention: float32, broadcast to `[B, H, S, T]`; ALiBi plus the causal and padding mask. */
  readonly scoreBias: string | undefined;
}

/** What the blocks of a graph want to know about positions. */
export interface PositionNeeds {
  readonly rope: RopeTables | undefined;
  /** ALiBi slopes `[H]`. */
  readonly alibiSlopes: Float32Array | undefined;
  readonly slidingWindow: number | undefined;
  readonly attention: AttentionKind;
}

/** How a graph attends: ONNX Runtime's fused operator with a cache in place, or MatMul and Softmax. */
export type AttentionKind = "group-query" | "plain";

/** Score of a masked key: the lowest finite float32, so that a fully masked row still has a softmax. */
export const MASKED = -3.4028234663852886e38;
