import type { CodedShape } from "./coded-shape.js";

/** The rows of a quantised cache. Its new rows have been through the same codes, so it does not matter when they came. */
export interface CodedRows {
  readonly shape: CodedShape;
  /** Codes of the past, `[B, heads * groups, P, size in bytes]`. */
  readonly past: string;
  /** float16 `[B, heads * groups, P, 1]`. */
  readonly pastScales: string;
  /** `[B, heads, S, size]`, as numbers again; rotated where the coding says so, like the codes. */
  readonly fresh: string;
  /** `[1, heads, P, size]`: what was taken from the past rows before they were coded, in the form of `fresh`. */
  readonly pastMeans?: string | undefined;
}
