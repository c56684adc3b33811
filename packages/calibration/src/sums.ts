import { type Fetches, type Results, Tensor } from "@kvfold/runtime";

/** Sums over windows of some outputs of a graph. */
export interface Sums {
  /** The totals so far that the next window is added to, by the name of the output. */
  totals(): ReadonlyMap<string, Tensor>;
  /** The outputs wanted of the next run. */
  fetches(): Exclude<Fetches, readonly string[]>;
  add(results: Results): Promise<void>;
  /** By name, in float64. */
  result(): Promise<ReadonlyMap<string, Float64Array>>;
  dispose(): void;
}

/** Adds the numbers of a window, or of several, to a total. */
export function addInto(total: Float64Array, window: Float32Array): void {
  for (let i = 0; i < total.length; i++) total[i]! += window[i]!;
}

/** Totals of outputs with these numbers of elements, all zero. */
export const zeroTotals = (sizes: ReadonlyMap<string, number>): ReadonlyMap<string, Float64Array> =>
  new Map([...sizes].map(([name, size]) => [name, new Float64Array(size)]));

/** Numbers as a graph takes totals: flat. */
export const flat = (values: Float32Array): Tensor => new Tensor("float32", values, [values.length]);

export const floats = (tensor: Tensor): Float32Array => tensor.data as Float32Array;
