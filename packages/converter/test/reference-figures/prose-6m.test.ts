/**
 * The perplexity of the original model (assets/README.md), and ratios of methods to it: a change of any is a change of
 * what kvfold computes, for better or worse.
 */
import type { StageMoments } from "@kvfold/calibration";
import type { Checkpoint } from "@kvfold/decoder";
import type { perplexity } from "@kvfold/runtime";
import { beforeAll, describe, expect, it } from "vitest";
import { openModel, readWindows } from "../support/assets.js";
import { foldInMemory } from "../support/fold-in-memory.js";
import { foldedPerplexity, SLOW_MS } from "../support/perplexity.js";

/** Windows behind the original's own figure: an eighth of those of assets/README.md. */
const WINDOWS = 8;
/** Windows behind the ratios. */
const RATIO_WINDOWS = 4;

describe("prose-6m", () => {
  let checkpoint: Checkpoint;
  let moments: readonly StageMoments[];
  /** Perplexity on all windows, and on the first of them on the way. */
  let original: { readonly all: number; readonly first: number };

  beforeAll(async () => {
    checkpoint = await openModel("prose-6m");
    let first = Number.NaN;
    const onWindow: perplexity.Options["onWindow"] = (index, soFar) => {
      if (index === RATIO_WINDOWS - 1) first = soFar.perplexity;
    };
    const all = await foldedPerplexity(checkpoint, { keep: "1" }, { count: WINDOWS, onWindow });
    original = { all, first };
    const windows = await readWindows({ text: "calibration", count: 32, length: 1024 });
    ({ moments } = await foldInMemory(checkpoint, { keep: "1/2", method: "svd-a", windows }));
  }, SLOW_MS);

  it("has its perplexity of 27.427 on 8 windows, which is 27.478 on 64", () => {
    expect(Math.abs(original.all / 27.427 - 1)).toBeLessThan(1e-3);
  });

  it.each([
    ["mean", "1/2", 5.5792],
    ["svd-w", "1/2", 5.3654],
    ["lorc", "1/2", 1.0984],
    ["svd-a", "1/2", 1.4412],
    ["paper", "1/2", 1.2996],
    ["svd-a", "1/4", 2.3888],
  ] as const)(
    "folded by %s at %s is %s times as perplexed",
    async (method, keep, expected) => {
      const count = RATIO_WINDOWS;
      const folded = await foldedPerplexity(checkpoint, { keep, method, moments }, { count });
      expect(Math.abs(folded / original.first / expected - 1)).toBeLessThan(1e-2);
    },
    SLOW_MS,
  );
});
