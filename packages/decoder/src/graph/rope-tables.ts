import { type RopeParameters, ropeFrequencies, ropeTables } from "@kvfold/rope";
import { DecoderError } from "../decoder-error.js";
import type { Emitter } from "./emitter.js";
import { once } from "./memoise.js";
import type { ChunkPart } from "./rotation.js";

/** Names of the cos and sin tables `[P, rotaryDim / 2]`. */
export interface TableNames {
  readonly cos: string;
  readonly sin: string;
}

/** Numbers of one table: 512 MB, enough for 2 million positions of heads of 128. */
const MAX_TABLE_SIZE = 2 ** 27;

/** The tables of a rotation whose frequencies are those of a text of `length` tokens, with a row for each position. */
export function emitRopeTables(e: Emitter, rope: RopeParameters, length: number): TableNames {
  checkRows(rope, length);
  return emitTables(e, rope, length, () => [tablesFor(rope, length, length)]);
}

/**
 * Two sets of tables, one after the other: rows `0 … boundary - 1` for texts of up to `boundary` tokens, then the rows of
 * longer ones. LongRoPE turns all tokens of a text by the one or the other.
 */
export function emitSwitchedTables(
  e: Emitter,
  rope: RopeParameters,
  boundary: number,
  length: number,
): TableNames {
  checkRows(rope, boundary + length);
  return emitTables(e, rope, boundary + length, () => [
    tablesFor(rope, boundary, boundary),
    tablesFor(rope, length, length),
  ]);
}

export declare namespace emitChunkTables {
  interface Options {
    /** `[rotaryDim / 2]`: slots of a chunk for each pair. */
    readonly chunks: readonly number[];
    readonly part: ChunkPart;
    /** Slots, and the length of the text that frequencies are those of. */
    readonly length: number;
  }
}

/** Tables with a row for each slot, as `Positions.chunkRotation` says. */
export function emitChunkTables(
  e: Emitter,
  rope: RopeParameters,
  { chunks, part, length }: emitChunkTables.Options,
): TableNames {
  const { inverseFrequencies, attentionScaling } = ropeFrequencies(rope, length);
  const width = chunks.length;
  // The attention factor is that of the query's table and of the start's.
  const factor = part === "offset" ? 1 : attentionScaling;
  const table = (turn: (angle: number) => number) => () =>
    Float32Array.from({ length: length * width }, (_, index) => {
      const [slot, pair] = [Math.floor(index / width), index % width];
      return factor * turn(slotPart(slot, chunks[pair]!, part) * inverseFrequencies[pair]!);
    });
  return {
    cos: e.floats("cos_cache", [length, width], table(Math.cos)),
    sin: e.floats("sin_cache", [length, width], table(Math.sin)),
  };
}

function slotPart(slot: number, chunk: number, part: ChunkPart): number {
  const offset = slot % chunk;
  return { slot, offset, start: slot - offset }[part];
}

/** A number in a config must not decide how much memory is asked for. */
function checkRows({ rotaryDim }: RopeParameters, rows: number): void {
  const size = rows * (rotaryDim / 2);
  if (size <= MAX_TABLE_SIZE) return;
  throw new DecoderError(
    "invalid-option",
    `the rotation tables of ${rows} positions would have ${size} numbers, more than ${MAX_TABLE_SIZE}; choose a shorter context with maxPositions than config.json names`,
  );
}

/** Tables with `rows` rows, frequencies as for a text of `length` tokens. */
const tablesFor = (rope: RopeParameters, length: number, rows: number) =>
  ropeTables({ ...ropeFrequencies(rope, length), length: rows });

/** Tables `[rows, rotaryDim / 2]` of parts one after the other, worked out where no other graph has stored them. */
function emitTables(
  e: Emitter,
  { rotaryDim }: RopeParameters,
  rows: number,
  makeParts: () => readonly ReturnType<typeof ropeTables>[],
): TableNames {
  const width = rotaryDim / 2;
  const parts = once(makeParts);
  const stack = (which: "cos" | "sin") => {
    const stacked = new Float32Array(rows * width);
    let start = 0;
    for (const part of parts()) {
      stacked.set(part[which], start);
      start += part[which].length;
    }
    return stacked;
  };
  const emit = (which: "cos" | "sin") => e.floats(`${which}_cache`, [rows, width], () => stack(which));
  return { cos: emit("cos"), sin: emit("sin") };
}
