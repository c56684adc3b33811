import type { RopeParameters } from "@kvfold/rope";
import type { AttentionSpec } from "../model/block-spec.js";
import type { Emitter } from "./emitter.js";
import type { Anchors } from "./joint/anchors.js";
import type { ChunkPart, Rotation } from "./rotation.js";

/**
 * Values that the blocks of a graph share because they depend on positions alone. Each is written when a block first asks
 * for it. The two sources are a decoder's inputs (dynamic-positions.ts) and a window of fixed length
 * (static-positions.ts).
 */
export interface Positions {
  /** int64 `[B, S]`, position of each new token. */
  positionIds(): string;
  /** What rotates the new tokens by their positions. */
  rotation(rope: RopeParameters): Rotation;
  /**
   * What rotates the new tokens, or all tokens that attention sees, by their places among the real tokens of their
   * sequence. Wherever a client lets positions begin, these differ by the same distances.
   */
  relativeRotation(rope: RopeParameters, tokens: "new" | "all"): Rotation;
  /**
   * What rotates tokens for anchored latents, where pair j of a head has chunks of `chunks[j]` slots of the cache: the new
   * tokens by their slots, or by their offsets within their chunks, without the attention factor; or all tokens by the
   * slots where their chunks start.
   */
  chunkRotation(rope: RopeParameters, chunks: readonly number[], part: ChunkPart): Rotation;
  /** Where cached keys are turned from; absent in graphs that run whole windows. */
  readonly anchors: Anchors | undefined;
  /** For GroupQueryAttention: int32 `[B]`, index of the last key; int32 scalar, number of keys. */
  lengths(): { readonly lastKey: string; readonly total: string };
  /** For attention to past and new rows apart: int64 `[2]`, how many of each there are. */
  parts?(): string;
  /** For attention to many new tokens a block of queries at a time; absent where the cache goes in and comes out whole. */
  readonly blocks?: QueryBlocks | undefined;
  /** Where the heads of the layer keep tokens of their own. */
  readonly ragged?: RaggedPositions | undefined;
  /** For plain attention: float32, broadcast to `[B, H, S, T]`; ALiBi plus the causal and padding mask. */
  scoreBias(needs: ScoreBiasNeeds): string;
}

/** Blocks of the new tokens' queries, as long as their scores stay within a bound. */
export interface QueryBlocks {
  /** int64 scalar: queries of a block; the last one may have fewer. */
  size(): string;
  /** int64 scalar: blocks of a sequence. */
  count(): string;
  /** Float32 `[B, 1, size, T]`, or with heads for ALiBi: the score bias of the queries `[start, end)`, int64 `[1]` each. */
  bias(e: Emitter, needs: ScoreBiasNeeds, range: QueryRange): string;
  /** The score bias of the one query of a step; of no query where several tokens are new. */
  stepBias(needs: ScoreBiasNeeds): string;
}

/** Queries `[start, end)` of the new tokens, int64 `[1]` each; an end after the last stands for it. */
export interface QueryRange {
  readonly start: string;
  readonly end: string;
}

/** Positions of a layer whose heads keep tokens of their own. */
export interface RaggedPositions {
  /** Heads with tokens of their own, each of several KV heads where keys and values have different numbers of them. */
  readonly heads: number;
  /** bool scalar: whether there is one new token. */
  isStep(): string;
  /** What rotates expanded keys `[B * kvHeads, 1, T, d]`, past and new. */
  keyRotation(rope: RopeParameters, kvHeads: number): Rotation;
  bias(needs: ScoreBiasNeeds): RaggedBias;
}

/** Float32, broadcast to `[B, heads, H / heads, S, P]` for tokens of the past and to `[.., S]` for new ones. */
export interface RaggedBias {
  readonly past: string;
  readonly fresh: string;
}

/** What of a layer its score bias depends on. */
export type ScoreBiasNeeds = Pick<AttentionSpec, "alibiSlopes" | "window">;

/** How a graph attends: ONNX Runtime's fused operator with a cache in place, or MatMul and Softmax. */
export type AttentionKind = "group-query" | "plain";

/** Score of a masked key: the lowest finite float32, so that a fully masked row still has a softmax. */
export const MASKED = -3.4028234663852886e38;

/** What tells score biases apart. */
export const biasKey = ({ window, alibiSlopes }: ScoreBiasNeeds): string =>
  JSON.stringify([window ?? null, alibiSlopes ?? null]);
