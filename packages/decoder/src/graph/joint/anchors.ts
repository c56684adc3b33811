import type { RopeParameters } from "@kvfold/rope";
import type { Rotation } from "../rotation.js";
import type { ChunkLevel } from "./chunk-levels.js";

/**
 * How far the newest token is from the places that cached keys are turned from. A chunk begins at a slot of the cache: all
 * is relative, so padding on the left needs nothing.
 */
export interface Anchors {
  /** bool scalar: whether every sequence has one new token. */
  isStep(): string;
  /** What turns expanded keys to the starts of their chunks; its tables are empty in a step, which expands none. */
  textRotation(rope: RopeParameters, chunks: readonly number[]): Rotation;
  /** int64 `[N]`: slots of the new tokens, or of the past ones in a graph that is told where these stand. */
  slots(tokens: "new" | "past"): string;
  /** int64 `[1]`: sequences of the batch. */
  batch(): string;
  /** int64 `[1]`: slots of the cache, the new ones included. */
  total(): string;
  /** int64 `[1]`: empty slots that make the cache a multiple of `multiple`. */
  padding(multiple: number): string;
  /**
   * What turns the newest query by its distance to the starts of chunks, for each run of `level.grid` slots of the padded
   * cache: `[N, 2 p]`, cosine and sine of each pair in turn, with the attention factor of both sides.
   */
  distances(rope: RopeParameters, level: ChunkLevel, multiple: number): string;
}
