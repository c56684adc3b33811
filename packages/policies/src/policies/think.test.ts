import { expect, it } from "vitest";
import { headView, layerView } from "../../test/views.js";
import { think } from "./think.js";

const view = layerView(4, {
  heads: [
    {
      ...headView(4, 1),
      queryHeads: 1,
      queries: Float32Array.of(1, 1, 1, 1),
      // Channels 0 and 2 are the smallest.
      keys: Float32Array.of(1, 5, 0, 7, 1, 5, 0, 7, 1, 5, 0, 7, 1, 5, 0, 7),
    },
  ],
});

it("clears the least channels of all keys but the latest", () => {
  const [own] = think(0.5, { recent: 1 }).afterPrefill!(view)!;
  expect(Array.from(own!.kept!)).toEqual([0, 1, 2, 3]);
  expect(Array.from(own!.keys!)).toEqual([0, 5, 0, 7, 0, 5, 0, 7, 0, 5, 0, 7, 1, 5, 0, 7]);
  expect(own!.values).toBeUndefined();
});

it("asks for the queries of its window", () => {
  expect(think(0.5, { window: 8 }).needs).toEqual({ queries: 8 });
});
