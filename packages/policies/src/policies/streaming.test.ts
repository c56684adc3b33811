import { describe, expect, it } from "vitest";
import type { LayerView } from "../cache-view.js";
import { keptIndices } from "../kept-indices.js";
import { streaming } from "./streaming.js";

/** One head with tokens at these positions, in this order. */
const layerOf = (positions: readonly number[], run = 1): LayerView => ({
  layer: 0,
  layers: 1,
  seen: 20,
  run,
  heads: [
    {
      tokens: positions.length,
      queryHeads: 1,
      keys: new Float32Array(positions.length),
      values: new Float32Array(positions.length),
      positions: Int32Array.from(positions),
    },
  ],
});

describe("streaming", () => {
  it("keeps the sinks and the newest while tokens are decoded, wherever they stand", () => {
    const { afterStep } = streaming({ tokens: 5 }, { sinks: 2 });
    const positions = [0, 19, 1, 17, 16, 18];
    const kept = keptIndices(afterStep!(layerOf(positions))![0]!, 6);
    expect(Array.from(kept, (index) => positions[index])).toEqual([0, 19, 1, 17, 18]);
  });

  it("leaves a cache that is no larger than its budget", () => {
    const { afterStep } = streaming({ tokens: 5 }, { sinks: 2 });
    expect(afterStep!(layerOf([0, 1, 7, 8, 9]))).toEqual([undefined]);
  });

  it("drops whole runs where tokens cannot go alone", () => {
    const { afterStep } = streaming({ tokens: 5 }, { sinks: 2 });
    // Three runs of two and one token after them: five are two runs and that one.
    const kept = keptIndices(afterStep!(layerOf([0, 1, 2, 3, 4, 5, 6], 2))![0]!, 7);
    expect(Array.from(kept)).toEqual([0, 1, 4, 5, 6]);
  });

  it("acts after prompts alone where a share is dropped", () => {
    expect(streaming({ removed: 0.5 }).afterStep).toBeUndefined();
  });
});
