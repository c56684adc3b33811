import type { Results, Tensor } from "@kvfold/runtime";
import { addInto, flat, floats, type SumSizes, type Sums, zeroTotals } from "./sums.js";

/** Windows that a graph adds up by itself: sums of float32 lose a unit in the last place or two over so few. */
const RUN_WINDOWS = 8;

/** Sums that a graph adds up by itself over a few windows, in the memory of the CPU. */
export function createGraphSums({ sizes, rooms }: SumSizes): Sums {
  const totals = zeroTotals({ sizes, rooms });
  let zeros: ReadonlyMap<string, Tensor> = new Map(
    [...sizes].map(([name, size]) => [name, flat(new Float32Array(size))]),
  );
  let partial: ReadonlyMap<string, Tensor> = zeros;
  let windows = 0;
  const settle = () => {
    if (windows === 0) return;
    for (const [name, tensor] of partial) addInto(totals.get(name)!, floats(tensor));
    partial = zeros;
    windows = 0;
  };
  return {
    totals: () => partial,
    fetches: () => nullFetches(sizes),
    async add(results) {
      partial = new Map([...sizes.keys()].map((name) => [name, flat(floats(results[name]!))]));
      if (++windows === RUN_WINDOWS) settle();
    },
    async result() {
      settle();
      // What comes next may take as much memory again.
      zeros = new Map();
      partial = zeros;
      return totals;
    },
    dispose() {},
  };
}

/** Sums of a graph that gives those of each window alone. */
export function createWindowSums({ sizes, rooms }: SumSizes): Sums {
  const totals = zeroTotals({ sizes, rooms });
  return {
    totals: () => new Map(),
    fetches: () => nullFetches(sizes),
    async add(results: Results) {
      for (const [name, total] of totals) addInto(total, floats(results[name]!));
    },
    result: async () => totals,
    dispose() {},
  };
}

const nullFetches = (sizes: ReadonlyMap<string, number>): Readonly<Record<string, null>> =>
  Object.fromEntries([...sizes.keys()].map((name) => [name, null]));
