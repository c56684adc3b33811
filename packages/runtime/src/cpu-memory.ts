import type { Tensor, TensorMemory } from "./port.js";
import { zeros } from "./tensors.js";

/** The memory of the CPU. */
export const cpuMemory: TensorMemory = { allocate: zeros, copyTokens };

/**
 * Copies the first `tokens` of every head from one cache `[B, heads, T, size]` to slots `start …` of one of another `T`. Heads
 * lie `T` tokens apart, so each moves on its own.
 */
export function copyTokens(from: Tensor, to: Tensor, tokens: number, start = 0): void {
  const [batch, heads, capacity, size] = from.dims as [number, number, number, number];
  const source = from.data as Float32Array;
  const target = to.data as Float32Array;
  for (let head = 0; head < batch * heads; head++) {
    const first = head * capacity * size;
    target.set(source.subarray(first, first + tokens * size), (head * to.dims[2]! + start) * size);
  }
}
