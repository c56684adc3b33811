import { expect, it } from "vitest";
import { publishedSlopes } from "../../test/reference/positions.js";
import { alibiSlopes } from "./alibi.js";

it.each([1, 2, 6, 8, 12, 16, 30, 32, 112])("has the published slopes of %i heads", (heads) => {
  const expected = publishedSlopes(heads);
  const slopes = alibiSlopes(heads);
  expect(slopes).toHaveLength(heads);
  for (const [head, slope] of slopes.entries()) expect(slope / expected[head]!).toBeCloseTo(1, 12);
});

it("starts at a half for eight heads, and halves", () => {
  expect(alibiSlopes(8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((power) => 2 ** -power));
});
