import { describe, expect, it } from "vitest";
import { checkpointOutput, type StoredTensor } from "../src/index.js";
import { streamModel } from "../src/output/stream-model.js";
import { familyNames, openFamily, readFields } from "./support/families.js";

describe("a checkpoint that is written unfolded holds what it was read from", () => {
  it.each(familyNames)("%s", async (name) => {
    const checkpoint = await openFamily(name);
    const tensors: StoredTensor[] = [];
    const output = checkpointOutput(checkpoint.config, {
      add: async (tensor) => void tensors.push(tensor),
      finish: async () => {},
      abandon: async () => {},
    });
    await streamModel(checkpoint, [output]);
    for (const { name: tensor, shape, data } of tensors) {
      const stored = await checkpoint.read(tensor, shape);
      // Factors and offsets that are taken out again cost a rounding each; all else is copied.
      const tolerance = 4 * 2 ** -24 * Math.max(1, ...stored.map(Math.abs));
      expect(largestDifference(data, stored)).toBeLessThan(tolerance);
    }
    const stored = new Set<string>();
    for await (const piece of checkpoint.contents()) stored.add(piece.name);
    expect(tensors.map((tensor) => tensor.name).toSorted()).toEqual([...stored].toSorted());
    expect(output.config()).toMatchObject(readFields(name));
  });
});

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  let largest = 0;
  for (const [index, value] of a.entries()) largest = Math.max(largest, Math.abs(value - b[index]!));
  return largest;
}
