import {
  createMatrix,
  type Matrix,
  type MatrixProducts,
  obliqueBasis,
  type RankedBasis,
  scale,
  trace,
} from "@kvfold/linalg";

export declare namespace balancedBasis {
  interface Options {
    readonly covariance: Matrix;
    /** Square diagonal blocks of the metric, whose sizes add up to that of the covariance. */
    readonly metricBlocks: readonly Matrix[];
    readonly rank: number;
    readonly products: MatrixProducts;
  }
}

/**
 * `obliqueBasis` with the numbers of each block in a unit of their own, in which an error of one costs one in the mean. The
 * result is the same, but for the floor that `obliqueBasis` puts under the metric: it is one for all blocks, and would drown
 * that of keys which are much larger than values.
 */
export async function balancedBasis(options: balancedBasis.Options): Promise<RankedBasis> {
  const { covariance, metricBlocks, rank, products } = options;
  const roots = metricBlocks.map((block) => Math.sqrt(trace(block) / block.rows) || 1);
  const units = metricBlocks.flatMap(({ rows }, index) => Array<number>(rows).fill(roots[index]!));
  const { encode, decode, ...rest } = await obliqueBasis({
    covariance: scaleBy(covariance, (row, col) => units[row]! * units[col]!),
    metricBlocks: metricBlocks.map((block, index) => scale(block, 1 / roots[index]! ** 2)),
    rank,
    products,
  });
  return {
    ...rest,
    encode: scaleBy(encode, (row) => units[row]!),
    decode: scaleBy(decode, (_, col) => 1 / units[col]!),
  };
}

const scaleBy = ({ rows, cols, data }: Matrix, factor: (row: number, col: number) => number): Matrix =>
  createMatrix(
    rows,
    cols,
    data.map((value, at) => value * factor(Math.floor(at / cols), at % cols)),
  );
