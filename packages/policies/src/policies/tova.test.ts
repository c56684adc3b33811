import { expect, it } from "vitest";
import type { HeadView } from "../cache-view.js";
import { keptIndices } from "../kept-indices.js";
import { tova } from "./tova.js";

const headOf = (attention: readonly number[]): HeadView => ({
  tokens: 4,
  queryHeads: 1,
  keys: new Float32Array(4),
  values: new Float32Array(4),
  positions: Int32Array.of(5, 0, 7, 9),
  attention: Float32Array.from(attention),
});

it("drops the token that the newest attends to least on the mean of heads, and never the newest", () => {
  // Means of 0.25, 0.35, 0.3 and 0.1.
  const heads = [headOf([0.1, 0.5, 0.3, 0.1]), headOf([0.4, 0.2, 0.3, 0.1])];
  const { afterStep } = tova({ tokens: 3 });
  const change = afterStep!({ layer: 0, layers: 1, heads, seen: 10, run: 1 })!;
  expect(change.map((own) => Array.from(keptIndices(own!, 4)))).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
});
