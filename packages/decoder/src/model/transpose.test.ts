import fc from "fast-check";
import { expect, it } from "vitest";
import { transposeFloats } from "./transpose.js";

it("moves element (row, col) to (col, row), across tile borders", () => {
  const sizes = fc.integer({ min: 0, max: 70 });
  fc.assert(
    fc.property(sizes, sizes, (rows, cols) => {
      const source = Float32Array.from({ length: rows * cols }, (_, index) => index);
      const target = transposeFloats(source, rows, cols);
      const expected = Float32Array.from(
        { length: rows * cols },
        (_, index) => (index % rows) * cols + Math.floor(index / rows),
      );
      expect(target).toEqual(expected);
    }),
  );
});
