import type { Matrix } from "./matrix.js";
import { multiply } from "./multiply.js";

/** How rows `y [n]` are stored as `y · encode` (`[rank]`) and read back as `y · encode · decode`. */
export interface Basis {
  /** `[n, rank]` */
  readonly encode: Matrix;
  /** `[rank, n]` */
  readonly decode: Matrix;
  /** Share of the energy kept, weighted by the metric if there is one, from 0 to 1; 1 when there is no energy. */
  readonly retained: number;
}

/** A basis with what each direction is worth. */
export interface RankedBasis extends Basis {
  /**
   * `[n]`, descending: the energy that each further direction keeps, weighted by the metric if there is one. Below `1e-12` of
   * the first they are rounding, of either sign.
   */
  readonly energies: Float64Array;
}

/** The projector `P = encode · decode`, `[n, n]`: rows come back from the store as `y P`. */
export function projector({ encode, decode }: Pick<Basis, "encode" | "decode">): Matrix {
  return multiply(encode, decode);
}
