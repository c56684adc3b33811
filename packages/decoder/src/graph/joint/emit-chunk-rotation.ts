import { type RopeParameters, ropeFrequencies } from "@kvfold/rope";
import type { RotationOf } from "../emit-decoder-rope.js";
import type { Emitter } from "../emitter.js";
import type { ChunkPart, Rotation } from "../rotation.js";
import { emitTurns } from "./emit-turns.js";

export declare namespace emitChunkRotation {
  interface Options {
    readonly rope: RopeParameters;
    /** `[rotaryDim / 2]`: slots of a chunk for each pair. */
    readonly chunks: readonly number[];
    readonly part: ChunkPart;
    /** The tables of the model's own rotation. */
    readonly tablesOf: RotationOf;
    /** int64 `[B, N]`: `0, 1, 2, …` for each sequence. */
    readonly rows: string;
  }
}

/**
 * The rotation of tokens in `slots`, int64 `[N]`, by a part of their slot that differs between pairs: tables with a row
 * for each token, put together from the model's own.
 */
export function emitChunkRotation(
  e: Emitter,
  slots: string,
  { rope, chunks, part, tablesOf, rows }: emitChunkRotation.Options,
): Rotation {
  const column = e.reshape("slots/Reshape", slots, [-1, 1]);
  const places = emitSlotPart(e, column, chunks, part);
  const { cos, sin } = emitTurns(e, tablesOf(e, places), { start: 0, end: chunks.length }, chunks.length);
  const { attentionScaling } = ropeFrequencies(rope);
  // Keys are turned twice, within their chunks and by the starts of these: the attention factor is that of the second.
  if (part !== "offset" || attentionScaling === 1) return { cos, sin, rows };
  const unscale = (name: string, table: string) =>
    e.node("Mul", `${name}/Mul`, [table, e.scalar(1 / attentionScaling)]);
  return { cos: unscale("cos", cos), sin: unscale("sin", sin), rows };
}

/** int64 `[N, p]`: the part of slots `[N, 1]` that each of `p` pairs turns by. */
export function emitSlotPart(e: Emitter, slots: string, chunks: readonly number[], part: ChunkPart): string {
  if (part === "slot") return e.node("Add", "slot/Add", [slots, e.graph.int64(chunks.map(() => 0))]);
  const offset = e.node("Mod", "offset/Mod", [slots, e.graph.int64(chunks)]);
  return part === "offset" ? offset : e.node("Sub", "start/Sub", [slots, offset]);
}
