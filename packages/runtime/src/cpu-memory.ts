import type { TensorMemory } from "./port.js";
import { zeros } from "./tensors.js";

/** The memory of the CPU. */
export const cpuMemory: TensorMemory = {
  allocate: zeros,
  copyTokens(from, to, tokens) {
    const [batch, heads, capacity, size] = from.dims as [number, number, number, number];
    const source = from.data as Float32Array;
    const target = to.data as Float32Array;
    for (let head = 0; head < batch * heads; head++) {
      // Heads lie `capacity` tokens apart, so each moves on its own.
      const start = head * capacity * size;
      target.set(source.subarray(start, start + tokens * size), head * to.dims[2]! * size);
    }
  },
};
