import { describe, expect, it } from "vitest";
import { permuteColumns, permuteRows } from "./permute-matrix.js";

const matrix = Float32Array.of(1, 2, 3, 4, 5, 6);

describe("permuteColumns and permuteRows", () => {
  it("take result i from permutation[i]", () => {
    expect(Array.from(permuteColumns(matrix, { rows: 2, columns: 3, permutation: [1, 2, 0] }))).toEqual([
      2, 3, 1, 5, 6, 4,
    ]);
    expect(Array.from(permuteRows(matrix, { rows: 3, columns: 2, permutation: [1, 2, 0] }))).toEqual([
      3, 4, 5, 6, 1, 2,
    ]);
  });

  it("keep the element type", () => {
    const wide = Float64Array.from(matrix);
    expect(permuteRows(wide, { rows: 6, columns: 1, permutation: [5, 4, 3, 2, 1, 0] })).toEqual(
      wide.toReversed(),
    );
  });

  it("allow distinct views of one buffer", () => {
    const both = Float32Array.of(1, 2, 0, 0);
    permuteColumns(both.subarray(0, 2), { rows: 1, columns: 2, permutation: [1, 0], out: both.subarray(2) });
    expect(Array.from(both)).toEqual([1, 2, 2, 1]);
  });

  it.each([permuteColumns, permuteRows])("refuse what does not fit", (permute) => {
    const square = Float32Array.of(1, 2, 3, 4);
    const options = { rows: 2, columns: 2, permutation: [0, 1] };
    expect(() => permute(matrix, options)).toThrow(/the matrix to hold 4 numbers \(2 rows of 2\), found 6/);
    expect(() => permute(square, { ...options, permutation: [0] })).toThrow(/permutation to hold 2 numbers/);
    expect(() => permute(square, { ...options, permutation: [0, 2] })).toThrow(
      /permutation to hold 0 to 1, found 2/,
    );
    expect(() => permute(square, { ...options, out: new Float32Array(3) })).toThrow(/out to hold 4 numbers/);
    expect(() => permute(square, { ...options, out: square.subarray(0) })).toThrow(/not to share memory/);
  });
});
