import { type Fetches, type Results, Tensor } from "@kvfold/runtime";

/** Elements of the outputs that a graph sums, by name. */
export type OutputSizes = ReadonlyMap<string, number>;

/** Sums in float32 over one window or several, where the graph left them. */
export interface Sums {
  readonly isOnDevice: boolean;
  /** Windows whose sums may be added up in float32. */
  readonly windows: number;
  /** What a graph that adds its window to the sums so far is given for them, by the name of the output. */
  soFar(): ReadonlyMap<string, Tensor>;
  /** The outputs wanted of the next run. */
  fetches(): Exclude<Fetches, readonly string[]>;
  take(results: Results): void;
  /** The sum that an output is part of. */
  read(output: string): Promise<Float32Array>;
  /** Starts again at zero, and gives back memory of a device. */
  clear(): void;
}

/** Numbers as a graph takes sums: flat. */
export const flat = (values: Float32Array): Tensor => new Tensor("float32", values, [values.length]);

export const floats = (tensor: Tensor): Float32Array => tensor.data as Float32Array;
