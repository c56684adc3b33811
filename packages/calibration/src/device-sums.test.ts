import { Tensor, type TensorMemory } from "@kvfold/runtime";
import { expect, it } from "vitest";
import { createDeviceSums } from "./device-sums.js";

/** Memory of the CPU that counts the tensors that were not given back, and the reads. */
function countingMemory() {
  const counts = { held: 0, reads: 0 };
  const memory: Required<TensorMemory> = {
    allocate(type, dims) {
      counts.held++;
      const tensor = new Tensor(type, new Float32Array(dims[0]!), dims);
      return Object.assign(tensor, { dispose: () => void counts.held-- });
    },
    copyTokens() {},
    async read(tensor) {
      counts.reads++;
      return tensor.data as Float32Array;
    },
  };
  return { memory, counts };
}

it("lets a run read one tensor and write another, and reads the sum back once in 128 windows", async () => {
  const { memory, counts } = countingMemory();
  const sums = createDeviceSums(memory, { sizes: new Map([["a", 2]]) });
  for (let window = 1; window <= 130; window++) {
    const before = sums.totals().get("a")!;
    const target = sums.fetches().a!;
    expect(target).not.toBe(before);
    (target.data as Float32Array).set([(before.data[0] as number) + window, (before.data[1] as number) + 1]);
    await sums.add({ a: target });
    expect(counts.reads).toBe(window < 128 ? 0 : 1);
  }
  expect((await sums.result()).get("a")).toEqual(Float64Array.of((130 * 131) / 2, 130));
  expect(counts).toEqual({ held: 0, reads: 2 });
});

it("gives its memory back where a run fails", () => {
  const { memory, counts } = countingMemory();
  const sums = createDeviceSums(memory, { sizes: new Map([["a", 2]]) });
  sums.totals();
  expect(counts.held).toBe(2);
  sums.dispose();
  expect(counts.held).toBe(0);
});
