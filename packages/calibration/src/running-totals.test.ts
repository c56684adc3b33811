import { Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { createRunningTotals, shiftOf, soFar } from "./running-totals.js";
import type { StageNames } from "./stage-totals.js";

const LENGTH = 3;
const one: StageNames = { moments: [{ name: "a", size: 1 }], crosses: [] };

const tensor = (...values: number[]): Tensor =>
  new Tensor("float32", Float32Array.from(values), [values.length]);

const input = (name: string, size: number | string) =>
  ({ name: soFar(name), type: "float32", shape: [size] }) as const;

describe("createRunningTotals", () => {
  it("feeds nothing so far to a graph that would add it: one zero where that is enough, else all of them", () => {
    const names = { moments: [{ name: "a", size: 2 }], crosses: [] };
    const inputs = [input("a.sum", 2), input("a.gram", "size")];
    const totals = createRunningTotals({ inputs }, names, LENGTH);
    expect(Object.keys(totals.feeds())).toEqual([soFar("a.sum"), soFar("a.gram")]);
    expect(totals.feeds()[soFar("a.sum")]!.data).toEqual(new Float32Array(2));
    expect(totals.feeds()[soFar("a.gram")]!.data).toEqual(new Float32Array(1));
    expect(createRunningTotals({ inputs: [] }, names, LENGTH).feeds()).toEqual({});
  });

  it("adds windows in float64", async () => {
    const totals = createRunningTotals({ inputs: [] }, one, LENGTH);
    // 2^24 + 1 is no float32.
    for (const value of [2 ** 24, 1, 1])
      await totals.add({ "a.sum": tensor(value), "a.gram": tensor(-value) });
    expect((await totals.result()).moments.a).toEqual({
      width: 1,
      count: 9,
      sum: Float64Array.of(2 ** 24 + 2),
      gram: Float64Array.of(-(2 ** 24) - 2),
    });
  });

  it("finds a reference in the first window, and keeps its shift in memory of its own", async () => {
    const inputs = [input(shiftOf("a"), 1)];
    const totals = createRunningTotals({ inputs }, one, LENGTH);
    expect(totals.feeds()[soFar(shiftOf("a"))]!.data[0]).toBeNaN();
    expect(Object.keys(totals.fetches())).toEqual(["a.sum", "a.gram", shiftOf("a")]);
    const memory = Float32Array.of(7);
    const results = {
      "a.sum": tensor(0),
      "a.gram": tensor(18),
      [shiftOf("a")]: new Tensor("float32", memory, [1]),
    };
    const reference = await totals.findReference(results);
    // The root of 18 is below 8.
    expect(reference).toEqual({ a: { shift: [7], exponents: [3] } });
    totals.begin(reference);
    memory[0] = 9;
    expect(totals.feeds()[soFar(shiftOf("a"))]!.data).toEqual(Float32Array.of(7));
    expect(Object.keys(totals.fetches())).toEqual(["a.sum", "a.gram"]);
  });

  it("adds on the grid of its reference", async () => {
    const sumOf = async (values: readonly number[]) => {
      const totals = createRunningTotals({ inputs: [] }, one, LENGTH);
      totals.begin({ a: { shift: null, exponents: [0] } });
      for (const value of values) await totals.add({ "a.sum": tensor(value), "a.gram": tensor(value) });
      return (await totals.result()).moments.a!;
    };
    // In plain float64 each of the small ones counts for a unit in the last place of the large one, and all three together for two.
    const small = [3, 3, 3].map((value) => value * 2 ** -34);
    expect((await sumOf([2 ** 20, ...small, -(2 ** 20), 0.5])).gram[0]).toBe(0.5);
    expect((await sumOf([...small, 2 ** 20, -(2 ** 20), 0.5])).gram[0]).toBe(0.5);
  });

  it("takes the size of targets from what they have in common with the rows", async () => {
    const names = { ...one, crosses: [{ name: "z", size: 2, rows: "a" }] };
    const totals = createRunningTotals({ inputs: [] }, names, LENGTH);
    const sums = { "a.sum": tensor(0), "a.gram": tensor(16), "z.sum": tensor(0, 0) };
    // Rows of size 4, so that targets are of size 2 and 8.
    const reference = await totals.findReference({ ...sums, "z.cross": tensor(-8, 32) });
    expect(reference.z).toEqual({ shift: null, exponents: [1, 3] });
  });

  it("keeps room after a gram that is unpacked where it lies", async () => {
    const width = 257; // two block rows
    const names = { moments: [{ name: "a", size: width }], crosses: [] };
    const totals = createRunningTotals({ inputs: [] }, names, LENGTH);
    const [sum, gram] = [new Float32Array(width), new Float32Array(256 * 257 + 1).fill(2)];
    await totals.add({ "a.sum": tensor(...sum), "a.gram": tensor(...gram) });
    const { a } = (await totals.result()).moments;
    expect(a!.gram.length).toBe(width ** 2);
    expect(a!.gram.every((value) => value === 2)).toBe(true);
  });
});
