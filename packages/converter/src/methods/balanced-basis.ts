import {
  createMatrix,
  type Matrix,
  type MatrixProducts,
  obliqueBasis,
  type RankedBasis,
} from "@kvfold/linalg";

export declare namespace balancedBasis {
  interface Options {
    readonly covariance: Matrix;
    /** Square diagonal blocks of the metric, whose sizes add up to that of the covariance. */
    readonly metricBlocks: readonly Matrix[];
    /** Sizes of the runs of numbers that share a unit, in order; without it each block of the metric is such a run. */
    readonly unitSizes?: readonly number[] | undefined;
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
  const units = unitsOf(options);
  let start = 0;
  const scaled = metricBlocks.map((block) => {
    const first = start;
    start += block.rows;
    return scaleBy(block, (row, col) => 1 / (units[first + row]! * units[first + col]!));
  });
  const { encode, decode, ...rest } = await obliqueBasis({
    covariance: scaleBy(covariance, (row, col) => units[row]! * units[col]!),
    metricBlocks: scaled,
    rank,
    products,
  });
  return {
    ...rest,
    encode: scaleBy(encode, (row) => units[row]!),
    decode: scaleBy(decode, (_, col) => 1 / units[col]!),
  };
}

/** The unit of each number: the root of what an error of one costs, on average over the numbers that share the unit. */
function unitsOf({
  metricBlocks,
  unitSizes = metricBlocks.map(({ rows }) => rows),
}: Pick<balancedBasis.Options, "metricBlocks" | "unitSizes">): readonly number[] {
  const costs = metricBlocks.flatMap(({ rows, data }) =>
    Array.from({ length: rows }, (_, index) => data[index * (rows + 1)]!),
  );
  let start = 0;
  return unitSizes.flatMap((size) => {
    const own = costs.slice(start, start + size);
    start += size;
    const mean = own.reduce((total, cost) => total + cost, 0) / size;
    return Array<number>(size).fill(Math.sqrt(mean) || 1);
  });
}

const scaleBy = ({ rows, cols, data }: Matrix, factor: (row: number, col: number) => number): Matrix =>
  createMatrix(
    rows,
    cols,
    data.map((value, at) => value * factor(Math.floor(at / cols), at % cols)),
  );
