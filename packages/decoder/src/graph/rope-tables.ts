import { type RopeParameters, ropeFrequencies, ropeTables } from "@kvfold/rope";
import { DecoderError } from "../decoder-error.js";
import type { Emitter } from "./emitter.js";

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
  return emitTables(e, [tablesFor(rope, length, length)]);
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
  return emitTables(e, [tablesFor(rope, boundary, boundary), tablesFor(rope, length, length)]);
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

function emitTables(e: Emitter, parts: readonly ReturnType<typeof ropeTables>[]): TableNames {
  const { width } = parts[0]!;
  const rows = parts.reduce((total, { length }) => total + length, 0);
  const stack = (which: "cos" | "sin") => {
    const stacked = new Float32Array(rows * width);
    let start = 0;
    for (const part of parts) {
      stacked.set(part[which], start);
      start += part[which].length;
    }
    return stacked;
  };
  const emit = (which: "cos" | "sin") => e.floats(`${which}_cache`, [rows, width], stack(which));
  return { cos: emit("cos"), sin: emit("sin") };
}
