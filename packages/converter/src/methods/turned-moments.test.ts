import type { Moments } from "@kvfold/linalg";
import { meanTurns } from "@kvfold/rope";
import { expect, it } from "vitest";
import { turnMoments } from "./turned-moments.js";

const columns = { headDim: 6, rotaryDim: 4, keyHeads: 2 };
const [frequencies, chunks] = [
  [1, 0.1],
  [4, 16],
];
/** Two heads of six numbers, four of them turning, then three values. */
const WIDTH = 15;
const PERIOD = 16;

it("gives the moments of turned rows", () => {
  const rows = Array.from({ length: 5 }, (_, row) =>
    Float64Array.from({ length: WIDTH }, (_, column) => Math.sin(3 * row + 7 * column ** 2)),
  );
  // Every row at every position of a period: what rows that do not depend on their positions come to.
  const turned = rows.flatMap((row) => Array.from({ length: PERIOD }, (_, n) => turnRow(row, n)));
  const expected = momentsOf(turned);
  const actual = turnMoments(momentsOf(rows), columns, meanTurns({ frequencies, chunks }));
  // Sums of 80 products of size one in float64.
  expect(
    largest(
      actual.gram,
      expected.gram.map((value) => value / PERIOD),
    ),
  ).toBeLessThan(1e-13);
  expect(
    largest(
      actual.sum,
      expected.sum.map((value) => value / PERIOD),
    ),
  ).toBeLessThan(1e-13);
  expect(actual.count).toBe(5);
});

function turnRow(row: Float64Array, position: number): Float64Array {
  const result = row.slice();
  for (let head = 0; head < columns.keyHeads; head++) {
    for (let j = 0; j < 2; j++) {
      const [a, b] = [head * columns.headDim + j, head * columns.headDim + j + 2];
      const angle = frequencies[j]! * (position % chunks[j]!);
      result[a] = row[a]! * Math.cos(angle) - row[b]! * Math.sin(angle);
      result[b] = row[a]! * Math.sin(angle) + row[b]! * Math.cos(angle);
    }
  }
  return result;
}

function momentsOf(rows: readonly Float64Array[]): Moments {
  const [sum, gram] = [new Float64Array(WIDTH), new Float64Array(WIDTH * WIDTH)];
  for (const row of rows) {
    for (let i = 0; i < WIDTH; i++) {
      sum[i]! += row[i]!;
      for (let j = 0; j < WIDTH; j++) gram[i * WIDTH + j]! += row[i]! * row[j]!;
    }
  }
  return { width: WIDTH, count: rows.length, sum, gram };
}

const largest = (a: Float64Array, b: Float64Array): number =>
  Math.max(...a.map((value, index) => Math.abs(value - b[index]!)));
