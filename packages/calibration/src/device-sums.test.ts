import { Tensor, type TensorMemory } from "@kvfold/runtime";
import { expect, it } from "vitest";
import { createDeviceSums } from "./device-sums.js";
import { createRunningTotals, soFar } from "./running-totals.js";

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

it("lets a run read one tensor and write another, and reads the sums back once in 128 windows", async () => {
  const { memory, counts } = countingMemory();
  const outputs = ["a.sum", "a.gram"];
  const inputs = outputs.map((name) => ({ name: soFar(name), type: "float32", shape: ["size"] }) as const);
  const session = { inputs, memory, writesInPlace: true };
  const totals = createRunningTotals(session, { moments: [{ name: "a", size: 1 }], crosses: [] }, 3);
  for (let window = 1; window <= 130; window++) {
    const [feeds, fetches] = [totals.feeds(), totals.fetches()];
    for (const name of outputs) {
      const [before, target] = [feeds[soFar(name)]!, fetches[name]!];
      expect(target).not.toBe(before);
      (target.data as Float32Array)[0] = (before.data[0] as number) + (name === "a.sum" ? window : 1);
    }
    await totals.add({});
    expect(counts.reads).toBe(window < 128 ? 0 : 2);
  }
  const { a } = (await totals.result()).moments;
  expect(a).toEqual({
    width: 1,
    count: 390,
    sum: Float64Array.of((130 * 131) / 2),
    gram: Float64Array.of(130),
  });
  expect(counts).toEqual({ held: 0, reads: 4 });
});

it("gives its memory back where a run fails", () => {
  const { memory, counts } = countingMemory();
  const sums = createDeviceSums(memory, new Map([["a", 2]]));
  sums.soFar();
  expect(counts.held).toBe(2);
  sums.clear();
  expect(counts.held).toBe(0);
});
