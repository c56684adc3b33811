import type { StageMoments } from "@kvfold/calibration";
import { describe, expect, it } from "vitest";
import type { Tap } from "../graph/taps.js";
import { createKnownAttention } from "./known-attention.js";

const TAPS: readonly Tap[] = ["queries", "keysAndValues", "queriesAtKeys", "attentionWeights"];

/** Two heads of two numbers: the gram of `queriesAtKeys` is zero between them. */
const stage: StageMoments = {
  queriesAtKeys: {
    width: 4,
    count: 3,
    sum: new Float64Array(4),
    gram: Float64Array.of(1, 2, 0, 0, 2, 3, 0, 0, 0, 0, 4, 5, 0, 0, 5, 6),
  },
  attentionWeights: { width: 2, count: 3, sum: Float64Array.of(1, 2), gram: Float64Array.of(1, 2, 2, 4) },
};

describe("createKnownAttention", () => {
  it("gives back what it was given", () => {
    const known = createKnownAttention(TAPS, { layers: 1, headDim: 2 });
    known.keep(0, stage);
    expect({ ...known.layers()![0] }).toEqual(stage);
  });

  it("has nothing until it has every layer", () => {
    const known = createKnownAttention(TAPS, { layers: 2, headDim: 2 });
    known.keep(1, stage);
    expect(known.layers()).toBeUndefined();
    known.keep(0, stage);
    expect(known.layers()).toHaveLength(2);
  });

  it("keeps nothing for a plan that has attention measured in any case", () => {
    const known = createKnownAttention([...TAPS, "sensitiveQueries"], { layers: 1, headDim: 2 });
    known.keep(0, stage);
    expect(known.layers()).toBeUndefined();
  });
});
