import type { CacheShape } from "../model/decoder-weights.js";
import type { Emitter } from "./emitter.js";

/** `[B, S, heads * size]` to `[B, heads, S, size]`. */
export function emitSplitHeads(e: Emitter, x: string, { heads, size }: CacheShape): string {
  return e.transpose("split/Transpose", e.reshape("split/Reshape", x, [0, 0, heads, size]), [0, 2, 1, 3]);
}

/** `[B, heads, S, size]` to `[B, S, heads * size]`. */
export function emitJoinHeads(e: Emitter, x: string, width: number): string {
  return e.reshape("join/Reshape", e.transpose("join/Transpose", x, [0, 2, 1, 3]), [0, 0, width]);
}

/** `[B, groups, T, size]` to `[B, groups * span, T, size / span]`: the heads that lie side by side in a group. */
export function emitSplitGroups(e: Emitter, x: string, { heads, size }: CacheShape, span: number): string {
  if (span === 1) return x;
  const part = size / span;
  const split = e.reshape("Reshape", x, [0, heads, -1, span, part]);
  const sorted = e.transpose("Transpose", split, [0, 1, 3, 2, 4]);
  return e.reshape("join/Reshape", sorted, [0, heads * span, -1, part]);
}
