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
