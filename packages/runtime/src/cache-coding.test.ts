import { describe, expect, it } from "vitest";
import { groupRotation } from "./cache-coding.js";

describe("groupRotation", () => {
  it.each([4, 32, 6, 20, 5])("has orthonormal rows: %i numbers", (size) => {
    const matrix = groupRotation(size);
    for (let a = 0; a < size; a++)
      for (let b = 0; b < size; b++) {
        let product = 0;
        for (let i = 0; i < size; i++) product += matrix[a * size + i]! * matrix[b * size + i]!;
        // Float32 entries: rounding alone.
        expect(Math.abs(product - (a === b ? 1 : 0))).toBeLessThan(1e-6);
      }
  });

  it("is Sylvester's Hadamard matrix for powers of two", () => {
    const signs = [1, 1, 1, 1, 1, -1, 1, -1, 1, 1, -1, -1, 1, -1, -1, 1];
    expect([...groupRotation(4)]).toEqual(signs.map((sign) => sign / 2));
  });
});
