import type { Tensor, TensorMemory } from "@kvfold/runtime";
import type { OutputSizes, Sums } from "./sums.js";

/**
 * Windows whose sums are added up on the device, in float32, since WebGPU has no float64: reading them back takes as long as
 * some windows, and adding so many loses about as many digits as the products of one window do.
 */
const DEVICE_WINDOWS = 128;

/** Memory of a device that can be read. */
export type ReadableMemory = TensorMemory & Required<Pick<TensorMemory, "read">>;

/** What a run reads, and what it writes in its place. */
interface Pair {
  total: Tensor;
  next: Tensor;
}

/** Sums that a graph adds up by itself in the memory of a device. */
export function createDeviceSums(memory: ReadableMemory, sizes: OutputSizes): Sums {
  const pairs = new Map<string, Pair>();
  const start = () => {
    for (const [name, size] of sizes) {
      const zeros = () => memory.allocate("float32", [size]);
      if (!pairs.has(name)) pairs.set(name, { total: zeros(), next: zeros() });
    }
    return pairs;
  };
  return {
    isOnDevice: true,
    windows: DEVICE_WINDOWS,
    soFar: () => new Map([...start()].map(([name, { total }]) => [name, total])),
    fetches: () => Object.fromEntries([...start()].map(([name, { next }]) => [name, next])),
    take() {
      for (const pair of pairs.values()) [pair.total, pair.next] = [pair.next, pair.total];
    },
    read: async (output) => (await memory.read(pairs.get(output)!.total)) as Float32Array,
    clear() {
      for (const { total, next } of pairs.values()) for (const tensor of [total, next]) tensor.dispose();
      pairs.clear();
    },
  };
}
