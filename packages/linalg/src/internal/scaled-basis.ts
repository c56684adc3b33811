import type { Basis, RankedBasis } from "../basis.js";
import { energyOf } from "../energy.js";
import { createMatrix, type Matrix } from "../matrix.js";
import type { LeadingSpectrum } from "./blocked-spectrum.js";

/** A variance below this share of the largest may be rounding alone. */
const LEAST_VARIANCE = 1e-9;

/**
 * The basis with each stored number at unit variance: columns of `encode` over the roots of their eigenvalues, rows of
 * `decode` times these. A column without variance gets unit length. Their product, the projector, stays as it is.
 */
export function scaledBasis(
  { allValues, vectors }: LeadingSpectrum,
  { encode, decode }: Pick<Basis, "encode" | "decode">,
): RankedBasis {
  const rank = vectors.cols;
  const least = LEAST_VARIANCE * (allValues[0] ?? 0);
  const scales = Float64Array.from({ length: rank }, (_, index) =>
    allValues[index]! > Math.max(least, 0) ? Math.sqrt(allValues[index]!) : columnLength(encode, index),
  );
  return {
    encode: createMatrix(
      encode.rows,
      rank,
      encode.data.map((value, at) => value / scales[at % rank]!),
    ),
    decode: createMatrix(
      rank,
      decode.cols,
      decode.data.map((value, at) => value * scales[Math.floor(at / decode.cols)]!),
    ),
    retained: energyOf(allValues, rank),
    energies: allValues,
  };
}

function columnLength({ rows, cols, data }: Matrix, col: number): number {
  let squares = 0;
  for (let row = 0; row < rows; row++) squares += data[row * cols + col]! ** 2;
  return Math.sqrt(squares);
}
