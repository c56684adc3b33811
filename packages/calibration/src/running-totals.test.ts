import { Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { createRunningTotals, shiftOf, soFar, type TotalSizes } from "./running-totals.js";

const tensor = (...values: number[]): Tensor =>
  new Tensor("float32", Float32Array.from(values), [values.length]);

const sizesOf = (sums: Readonly<Record<string, number>>): TotalSizes => ({
  sums: { sizes: new Map(Object.entries(sums)) },
  shifts: new Map(),
});

describe("createRunningTotals", () => {
  it("feeds the sum so far to a graph that adds it, and starts anew after eight windows", async () => {
    const inputs = [{ name: soFar("a"), type: "float32", shape: [2] } as const];
    const totals = createRunningTotals({ inputs }, sizesOf({ a: 2 }));
    const fed: number[] = [];
    for (let window = 1; window <= 20; window++) {
      const before = totals.feeds()[soFar("a")]!.data as Float32Array;
      fed.push(before[0]!);
      await totals.add({ a: tensor(before[0]! + window, before[1]! + 1) });
    }
    expect(fed.slice(0, 10)).toEqual([0, 1, 3, 6, 10, 15, 21, 28, 0, 9]);
    expect((await totals.result()).get("a")).toEqual(Float64Array.of(210, 20));
  });

  it("keeps in float64 what float32 would lose over many windows", async () => {
    const inputs = [{ name: soFar("a"), type: "float32", shape: [1] } as const];
    const totals = createRunningTotals({ inputs }, sizesOf({ a: 1 }));
    const add = (value: number) =>
      totals.add({ a: tensor(Math.fround((totals.feeds()[soFar("a")]!.data as Float32Array)[0]! + value)) });
    await add(2 ** 24);
    for (let window = 1; window < 8; window++) await add(0);
    for (let window = 0; window < 8; window++) await add(1);
    // 2^24 + 1 is no float32, so that a sum of float32 alone would stay at 2^24.
    expect((await totals.result()).get("a")![0]).toBe(2 ** 24 + 8);
  });

  it("adds up what the graph does not, and both side by side", async () => {
    const inputs = [{ name: soFar("a"), type: "float32", shape: [1] } as const];
    const totals = createRunningTotals({ inputs }, sizesOf({ a: 1, b: 1 }));
    expect(Object.keys(totals.feeds())).toEqual([soFar("a")]);
    await totals.add({ a: tensor(1), b: tensor(5) });
    await totals.add({ a: tensor(3), b: tensor(6) });
    expect([...(await totals.result())]).toEqual([
      ["a", Float64Array.of(3)],
      ["b", Float64Array.of(11)],
    ]);
  });

  it("keeps room after a total that is unpacked where it lies, and lets go of the graph's sums", async () => {
    const inputs = [{ name: soFar("a"), type: "float32", shape: [2] } as const];
    const sizes = new Map([
      ["a", 2],
      ["b", 2],
    ]);
    const rooms = new Map([
      ["a", 5],
      ["b", 3],
    ]);
    const totals = createRunningTotals({ inputs }, { sums: { sizes, rooms }, shifts: new Map() });
    await totals.add({ a: tensor(1, 2), b: tensor(3, 4) });
    const sums = await totals.result();
    expect([...sums.get("a")!, ...sums.get("b")!]).toEqual([1, 2, 3, 4]);
    const room = (name: string) => sums.get(name)!.buffer.byteLength / Float64Array.BYTES_PER_ELEMENT;
    expect([room("a"), room("b")]).toEqual([5, 3]);
    expect(totals.feeds()).toEqual({});
  });

  it("keeps the shift of the first window, in memory of its own", async () => {
    const name = shiftOf("a");
    const inputs = [{ name: soFar(name), type: "float32", shape: [1] } as const];
    const sizes = new Map([
      ["a", 1],
      ["b", 1],
    ]);
    const totals = createRunningTotals({ inputs }, { sums: { sizes: new Map() }, shifts: sizes });
    const fed = () => (totals.feeds()[soFar(name)]!.data as Float32Array)[0];
    expect(fed()).toBeNaN();
    const memory = Float32Array.of(7);
    await totals.add({ [name]: new Tensor("float32", memory, [1]) });
    memory[0] = 9;
    expect(fed()).toBe(7);
    await totals.add({ [name]: tensor(8) });
    expect(totals.shift("a")).toEqual(Float32Array.of(7));
    expect(totals.shift("b")).toBeUndefined();
  });
});
