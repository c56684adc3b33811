/** A slot, padding counted, is the start of its chunk and the offset within it. */
export type ChunkPart = "slot" | "offset" | "start";

/** Tables `[P, rotaryDim / 2]` and the row of each token in them, int64 `[B, S]` or `[B, T]`. */
export interface Rotation {
  readonly cos: string;
  readonly sin: string;
  readonly rows: string;
}
