import type { RopeParameters } from "@kvfold/rope";
import type { Emitter } from "./emitter.js";
import { emitRopeTables, emitSwitchedTables } from "./rope-tables.js";
import type { Rotation } from "./rotation.js";

/** Turns rows of positions, int64 `[B, S]` or `[B, T]`, into a rotation. */
export type RotationOf = (e: Emitter, positionIds: string) => Rotation;

export declare namespace emitDecoderRope {
  interface Options {
    readonly rope: RopeParameters;
    /** Longest text the tables cover, in tokens. */
    readonly maxPositions: number;
    /** int64 scalar: tokens of the text so far, cached ones included. */
    readonly textLength: () => string;
  }
}

/**
 * The rotation of a decoder whose texts grow. Most kinds have one table. LongRoPE has two and chooses by the length of
 * the text; dynamic NTK works its frequencies out at each step, since they change with every token beyond the original
 * length. Keys that are cached after the rotation keep the one they entered with, as in transformers.
 */
export function emitDecoderRope(e: Emitter, options: emitDecoderRope.Options): RotationOf {
  const { rope, maxPositions } = options;
  if (rope.ropeType === "dynamic") return emitComputedRope(e, rope, options);
  if (rope.ropeType === "longrope" && rope.scaling.originalLength < maxPositions)
    return emitSwitchedRope(e, rope, rope.scaling.originalLength, options);
  const tables = emitRopeTables(e, rope, maxPositions);
  return (_, rows) => ({ ...tables, rows });
}

function emitSwitchedRope(
  e: Emitter,
  rope: RopeParameters,
  boundary: number,
  { maxPositions, textLength }: emitDecoderRope.Options,
): RotationOf {
  const tables = emitSwitchedTables(e, rope, boundary, maxPositions);
  const int64 = (value: number) => e.graph.int64([value], []);
  const isLong = e.node("Greater", "long/Greater", [textLength(), int64(boundary)]);
  const first = e.node("Where", "long/Where", [isLong, int64(boundary), int64(0)]);
  return (at, positionIds) => ({ ...tables, rows: at.node("Add", "rows/Add", [positionIds, first]) });
}

/**
 * Dynamic NTK: with `s = factor T / L - (factor - 1)` for texts of `T > L` tokens, L the original length, the base grows
 * by `s^(r / (r - 2))`, so frequency j becomes `theta^(-2j / r) s^(-2j / (r - 2))`. The tables have a row for each token.
 */
function emitComputedRope(
  e: Emitter,
  { theta, rotaryDim, scaling }: RopeParameters<"dynamic">,
  { textLength }: emitDecoderRope.Options,
): RotationOf {
  const half = rotaryDim / 2;
  const vector = (name: string, value: (j: number) => number) =>
    e.float32s(
      name,
      [1, half],
      Float32Array.from({ length: half }, (_, j) => value(j)),
    );
  const length = e.node("Max", "length/Max", [textLength(), e.graph.int64([scaling.originalLength], [])]);
  const scaled = e.node("Mul", "stretch/Mul", [
    e.cast("length/Cast", length, "float32"),
    e.scalar(scaling.factor / scaling.originalLength, "float32"),
  ]);
  const stretch = e.node("Sub", "stretch/Sub", [scaled, e.scalar(scaling.factor - 1, "float32")]);
  // With a single frequency, which is 1 whatever the base, the exponent would be 0 / 0.
  const exponents = vector("exponents", (j) => (j === 0 ? 0 : (-2 * j) / (rotaryDim - 2)));
  const frequencies = e.node("Mul", "frequencies/Mul", [
    vector("frequencies", (j) => theta ** ((-2 * j) / rotaryDim)),
    e.node("Pow", "frequencies/Pow", [stretch, exponents]),
  ]);
  return (at, positionIds) => {
    const column = at.reshape(
      "positions/Reshape",
      at.cast("positions/Cast", positionIds, "float32"),
      [-1, 1],
    );
    const angles = at.node("Mul", "angles/Mul", [column, frequencies]);
    const table = (operator: "Cos" | "Sin") => {
      const values = at.node(operator, operator, [angles]);
      return at.floatType === "float32" ? values : at.cast(`${operator}/Cast`, values, at.floatType);
    };
    return { cos: table("Cos"), sin: table("Sin"), rows: emitOwnRows(at, positionIds) };
  };
}

/**
 * The same rotation by tables with a row for each token. ONNX Runtime takes no more tokens than its tables have rows,
 * and a cache with empty slots may have more.
 */
export function emitOwnTables(e: Emitter, { cos, sin, rows }: Rotation): Rotation {
  const flat = e.reshape("rows/flat/Reshape", rows, [-1]);
  const pick = (name: string, table: string) => e.node("Gather", `${name}/Gather`, [table, flat]);
  return { cos: pick("cos", cos), sin: pick("sin", sin), rows: emitOwnRows(e, rows) };
}

/** `0, 1, 2, …` in the shape of `values`: each token has a row of its own. */
function emitOwnRows(e: Emitter, values: string): string {
  const zero = e.graph.int64([0], []);
  const one = e.graph.int64([1], []);
  const size = e.node("Size", "rows/Size", [values]);
  const range = e.node("Range", "rows/Range", [zero, size, one]);
  const shape = e.node("Shape", "rows/Shape", [values]);
  return e.node("Reshape", "rows/Reshape", [range, shape]);
}
