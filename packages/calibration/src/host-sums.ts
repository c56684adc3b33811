import type { Results, Tensor } from "@kvfold/runtime";
import { floats, type OutputSizes, type Sums } from "./sums.js";

/** Sums of one window at a time, in the memory of the CPU. `zeros` are for graphs that add a window to what was before. */
export function createWindowSums(sizes: OutputSizes, zeros: ReadonlyMap<string, Tensor>): Sums {
  const wanted = Object.fromEntries([...sizes.keys()].map((name) => [name, null]));
  let window: Results = {};
  return {
    isOnDevice: false,
    windows: 1,
    soFar: () => zeros,
    fetches: () => wanted,
    take(results) {
      window = results;
    },
    read: async (output) => floats(window[output]!),
    clear() {
      window = {};
    },
  };
}
