import type { Emitter } from "./emitter.js";

/** `[start, end)` along one axis of a value; a negative axis counts from the last. */
export const emitSlice = (e: Emitter, value: string, axis: number, start: number, end: number): string =>
  e.node("Slice", "Slice", [value, ...[start, end, axis].map((number) => e.graph.int64([number]))]);
