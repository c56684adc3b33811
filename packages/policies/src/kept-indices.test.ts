import { describe, expect, it } from "vitest";
import { keptIndices, otherIndices } from "./kept-indices.js";

describe("keptIndices", () => {
  it.each([
    [[], [0, 1, 2, 3, 4]],
    [[0], [1, 2, 3, 4]],
    [
      [1, 2, 4],
      [0, 3],
    ],
    [[0, 1, 2, 3, 4], []],
  ])("are the others where %j go of five", (dropped, kept) => {
    expect(Array.from(keptIndices({ dropped: Int32Array.from(dropped) }, 5))).toEqual(kept);
  });

  it("are those that a change names", () => {
    const kept = Int32Array.of(1, 3);
    expect(keptIndices({ kept }, 5)).toBe(kept);
    expect(Array.from(otherIndices(kept, 5))).toEqual([0, 2, 4]);
  });
});
