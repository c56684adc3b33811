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

/** The projector `P = encode · decode`, `[n, n]`: rows come back from the store as `y P`. */
export function projector({ encode, decode }: Pick<Basis, "encode" | "decode">): Matrix {
  return multiply(encode, decode);
}
