/** Rotation tables, `[length, width]` each with `width = d / 2`; what `@kvfold/rope`'s `ropeTables` returns. */
export interface RopeTables {
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly length: number;
  readonly width: number;
}
