import type { Emitter } from "../emitter.js";
import type { Rotation } from "../rotation.js";

/** Pairs `[start, end)` of a head. */
export interface PairRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Cosines and sines `[N, p]` where each pair stands at a row of its own: `rows` of the tables is int64 `[N, p]`, for `p`
 * pairs of a head that has `half`.
 */
export function emitTurns(
  e: Emitter,
  { cos, sin, rows }: Rotation,
  { start, end }: PairRange,
  half: number,
): { readonly cos: string; readonly sin: string } {
  const pairs = Array.from({ length: end - start }, (_, index) => start + index);
  const first = e.node("Mul", "first/Mul", [rows, e.graph.int64([half], [])]);
  const entries = e.node("Add", "entries/Add", [first, e.graph.int64(pairs)]);
  const pick = (name: string, table: string) =>
    e.node("Gather", `${name}/Gather`, [e.reshape(`${name}/Reshape`, table, [-1]), entries], {
      attributes: { axis: 0 },
    });
  return { cos: pick("cos", cos), sin: pick("sin", sin) };
}
