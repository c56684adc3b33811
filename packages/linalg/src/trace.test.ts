import { expect, it } from "vitest";
import { createMatrix, identity } from "./matrix.js";
import { trace } from "./trace.js";

it("sums the diagonal of a square matrix", () => {
  expect(trace(createMatrix(2, 2, Float64Array.of(1, 9, 9, 2)))).toBe(3);
  expect(trace(identity(7))).toBe(7);
  expect(() => trace(createMatrix(1, 2))).toThrow(/trace: expected a to be square, found \[1, 2\]/);
});
