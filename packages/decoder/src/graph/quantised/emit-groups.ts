import type { Emitter } from "../emitter.js";
import type { CodedShape } from "./coded-shape.js";

/** `[B, heads, N, size]` to `[B, heads * groups, N, groupSize]`. */
export function emitGroups(e: Emitter, x: string, { heads, groups, groupSize }: CodedShape): string {
  if (groups === 1) return x;
  const split = e.reshape("split/Reshape", x, [0, heads, -1, groups, groupSize]);
  const sorted = e.transpose("Transpose", split, [0, 1, 3, 2, 4]);
  return e.reshape("Reshape", sorted, [0, heads * groups, -1, groupSize]);
}

/** Back: `[B, heads * groups, N, groupSize]` to `[B, heads, N, size]`. */
export function emitUngrouped(e: Emitter, x: string, { heads, size, groups, groupSize }: CodedShape): string {
  if (groups === 1) return x;
  const split = e.reshape("split/Reshape", x, [0, heads, groups, -1, groupSize]);
  const sorted = e.transpose("Transpose", split, [0, 1, 3, 2, 4]);
  return e.reshape("Reshape", sorted, [0, heads, -1, size]);
}
