import type { Emitter } from "./emitter.js";

/** The last `count` along axis 1 of a value, `count` an int64 scalar of the graph; all of them for 0. */
export function emitLast(e: Emitter, value: string, count: string): string {
  const start = e.reshape("start/Reshape", e.node("Neg", "start/Neg", [count]), [1]);
  const end = e.graph.int64([Number.MAX_SAFE_INTEGER]);
  return e.node("Slice", "Slice", [value, start, end, e.graph.int64([1])]);
}
