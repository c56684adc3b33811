import { type RopeParameters, ropeFrequencies } from "@kvfold/rope";
import type { RotationOf } from "../emit-decoder-rope.js";
import { emitSlice } from "../emit-slice.js";
import type { Emitter } from "../emitter.js";
import type { ChunkPart, Rotation } from "../positions.js";
import { type ChunkRun, chunkRuns } from "./chunk-runs.js";

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
 * for each slot, put together from the model's own tables.
 */
export function emitChunkRotation(
  e: Emitter,
  slots: string,
  { rope, chunks, part, tablesOf, rows }: emitChunkRotation.Options,
): Rotation {
  const at = e.at(part);
  const runs = part === "slot" ? [{ slots: 1, start: 0, end: chunks.length }] : chunkRuns(chunks);
  const tables = runs.map((run) => {
    const level = at.at(`pairs.${run.start}`);
    return emitRunTables(level, tablesOf(level, emitPart(level, slots, run.slots, part)), run);
  });
  const table = (name: "cos" | "sin") =>
    emitUnscaled(
      at.at(name),
      emitSideBySide(
        at.at(name),
        tables.map((run) => run[name]),
      ),
      rope,
      part,
    );
  return { cos: table("cos"), sin: table("sin"), rows };
}

/** The part of each slot that pairs with chunks of `size` slots turn by. */
function emitPart(e: Emitter, slots: string, size: number, part: ChunkPart): string {
  if (part === "slot") return slots;
  const offset = e.node("Mod", "Mod", [slots, e.graph.int64([size], [])]);
  return part === "offset" ? offset : e.node("Sub", "Sub", [slots, offset]);
}

/** Columns `[start, end)` of tables, a row for each slot. */
function emitRunTables(e: Emitter, { cos, sin, rows }: Rotation, { start, end }: ChunkRun) {
  const gather = (name: string, table: string) =>
    e.node("Gather", `${name}/Gather`, [emitSlice(e.at(name), table, 1, start, end), rows], {
      attributes: { axis: 0 },
    });
  return { cos: gather("cos", cos), sin: gather("sin", sin) };
}

const emitSideBySide = (e: Emitter, parts: readonly string[]): string =>
  parts.length === 1 ? parts[0]! : e.node("Concat", "Concat", parts, { attributes: { axis: 1 } });

/** Keys are turned twice, within their chunks and by the starts of these: the attention factor is that of the second. */
function emitUnscaled(e: Emitter, table: string, rope: RopeParameters, part: ChunkPart): string {
  const { attentionScaling } = ropeFrequencies(rope);
  if (part !== "offset" || attentionScaling === 1) return table;
  return e.node("Mul", "Mul", [table, e.scalar(1 / attentionScaling)]);
}
