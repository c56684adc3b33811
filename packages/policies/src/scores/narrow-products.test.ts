import { createMatrix } from "@kvfold/linalg";
import { describe, expect, it } from "vitest";
import { distance } from "../../test/near.js";
import { multiplyRows, sumRows } from "./narrow-products.js";

const numbers = (count: number) => Float32Array.from({ length: count }, (_, at) => Math.sin(at * at));
const rowsOf = (data: Float32Array, width: number) =>
  Array.from({ length: data.length / width }, (_, row) => data.subarray(row * width, (row + 1) * width));

/** Widths, and numbers of rows, that fill the blocks that are taken at once and others. */
describe.each([
  [1, 1],
  [3, 6],
  [4, 8],
  [7, 5],
  [16, 33],
])("products of %i columns", (width, rows) => {
  const data = numbers(rows * width);

  it("with a square matrix are those of each row with each column", () => {
    const factor = createMatrix(
      width,
      width,
      Float64Array.from(numbers(width * width), (value) => 2 - value),
    );
    const target = new Float32Array(data.length);
    multiplyRows(target, data, factor);
    const expected = rowsOf(data, width).flatMap((row) =>
      Array.from({ length: width }, (_, column) =>
        row.reduce((sum, value, term) => sum + value * factor.data[term * width + column]!, 0),
      ),
    );
    expect(distance(target, expected)).toBeLessThan(1e-5);
  });

  it("with themselves are sums over all rows, which are summed, too", () => {
    const { sums, gram } = sumRows(data, width);
    const all = rowsOf(data, width);
    const of = (value: (row: Float32Array) => number) => all.reduce((sum, row) => sum + value(row), 0);
    expect(
      distance(
        sums,
        Array.from({ length: width }, (_, j) => of((row) => row[j]!)),
      ),
    ).toBeLessThan(1e-12);
    const expected = Array.from({ length: width * width }, (_, at) =>
      of((row) => row[Math.floor(at / width)]! * row[at % width]!),
    );
    expect(distance(gram.data, expected)).toBeLessThan(1e-12);
  });
});
