import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import type { Positions } from "../positions.js";
import type { Rotation } from "../rotation.js";
import type { Anchors } from "./anchors.js";
import { isChunked } from "./is-chunked.js";

/** What turns expanded keys, and the queries that are set against them. */
export interface LateRotations {
  readonly keys: Rotation;
  readonly queries: Rotation;
}

/** Keys that are turned within their chunks lack the turn to the starts of these; nothing turns in layers without RoPE. */
export function lateRotations(
  { rope }: AttentionWeights,
  joint: JointLatent,
  positions: Positions,
): LateRotations | undefined {
  if (rope === undefined) return undefined;
  const { chunks } = joint;
  return isChunked(joint)
    ? {
        keys: positions.chunkRotation(rope, chunks, "start"),
        queries: positions.chunkRotation(rope, chunks, "slot"),
      }
    : { keys: positions.relativeRotation(rope, "all"), queries: positions.relativeRotation(rope, "new") };
}

/** The same where a step of one token expands nothing. */
export const textRotations = (
  { rope }: AttentionWeights,
  { chunks }: JointLatent,
  positions: Positions,
  anchors: Anchors,
): LateRotations | undefined =>
  rope && {
    keys: anchors.textRotation(rope, chunks),
    queries: positions.chunkRotation(rope, chunks, "slot"),
  };
