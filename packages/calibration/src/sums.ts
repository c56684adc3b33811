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

/** Elements of outputs that are summed, by name. */
export interface SumSizes {
  readonly sizes: ReadonlyMap<string, number>;
  /** Elements that the memory of a total has room for, where those are more: for what is unpacked where it lies. */
  readonly rooms?: ReadonlyMap<string, number> | undefined;
}

/** Totals, all zero. Memory that nothing was written to yet is not taken from the system. */
export const zeroTotals = ({ sizes, rooms }: SumSizes): ReadonlyMap<string, Float64Array> =>
  new Map(
    [...sizes].map(([name, size]) => [
      name,
      new Float64Array(new Float64Array(Math.max(size, rooms?.get(name) ?? 0)).buffer, 0, size),
    ]),
  );

/** Numbers as a graph takes totals: flat. */
export const flat = (values: Float32Array): Tensor => new Tensor("float32", values, [values.length]);

export const floats = (tensor: Tensor): Float32Array => tensor.data as Float32Array;
