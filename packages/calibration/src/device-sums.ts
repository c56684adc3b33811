import type { Tensor, TensorMemory } from "@kvfold/runtime";
import { addInto, type SumSizes, type Sums, zeroTotals } from "./sums.js";

/**
 * Windows whose sums are added up on the device, in float32: reading them back takes as long as some windows, and adding
 * so many loses about as many digits as the products of one window do.
 */
const DEVICE_WINDOWS = 128;

/** Memory of a device that can be read. */
export type ReadableMemory = TensorMemory & Required<Pick<TensorMemory, "read">>;

/** What a run reads, and what it writes in its place. */
interface Pair {
  total: Tensor;
  next: Tensor;
}

/** Sums that a graph adds up by itself in the memory of a device; they come back at the end, or after many windows. */
export function createDeviceSums(memory: ReadableMemory, { sizes, rooms }: SumSizes): Sums {
  const totals = zeroTotals({ sizes, rooms });
  const pairs = new Map<string, Pair>();
  let windows = 0;
  const clear = () => {
    for (const { total, next } of pairs.values()) for (const tensor of [total, next]) tensor.dispose();
    pairs.clear();
  };
  const start = () => {
    for (const [name, size] of sizes) {
      const zeros = () => memory.allocate("float32", [size]);
      if (!pairs.has(name)) pairs.set(name, { total: zeros(), next: zeros() });
    }
    return pairs;
  };
  const settle = async () => {
    for (const [name, { total }] of pairs) addInto(totals.get(name)!, await memory.read(total));
    clear();
    windows = 0;
  };
  return {
    totals: () => new Map([...start()].map(([name, { total }]) => [name, total])),
    fetches: () => Object.fromEntries([...start()].map(([name, { next }]) => [name, next])),
    async add() {
      for (const pair of pairs.values()) [pair.total, pair.next] = [pair.next, pair.total];
      if (++windows === DEVICE_WINDOWS) await settle();
    },
    async result() {
      await settle();
      return totals;
    },
    dispose: clear,
  };
}
