import type { ValueDims } from "@kvfold/onnx";

/** One dimension: a size, a symbol (equal symbols are equal sizes), or unknown. */
export type Dim = number | string | undefined;

/** Dimensions of a value, `undefined` where not even the rank is known. */
export type Dims = readonly Dim[] | undefined;

/** An axis that may count from the last one, from 0. */
export const fromFirst = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** Sizes where all are known. */
export const sizesOf = (dims: Dims): readonly number[] | undefined =>
  dims?.every((dim) => typeof dim === "number") ? (dims as readonly number[]) : undefined;

/** Dimensions as a graph declares them. */
export const valueDims = (dims: Dims): ValueDims => dims?.map((dim) => dim ?? "?");

/** Number of elements where all sizes are known. */
export const countOf = (dims: Dims): number | undefined =>
  sizesOf(dims)?.reduce((product, size) => product * size, 1);

/** The dimensions that values broadcast to. */
export function broadcast(...all: readonly Dims[]): Dims {
  if (all.some((dims) => dims === undefined)) return undefined;
  const known = all as readonly (readonly Dim[])[];
  const rank = Math.max(0, ...known.map(({ length }) => length));
  return Array.from({ length: rank }, (_, axis) =>
    known
      .map((dims) => (axis < rank - dims.length ? 1 : dims[axis - rank + dims.length]))
      .reduce(broadcastDim, 1),
  );
}

function broadcastDim(a: Dim, b: Dim): Dim {
  if (a === 1 || a === b) return b;
  if (b === 1) return a;
  // The other one is this size or 1.
  if (typeof a === "number") return a;
  return typeof b === "number" ? b : undefined;
}
