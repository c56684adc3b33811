import type { StageMoments } from "@kvfold/calibration";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { randomWindows } from "../../test/support/numbers.js";
import { foldModel } from "../fold/fold-model.js";
import { planFold } from "../plan/plan-fold.js";
import { allocateBudget, type BudgetProgress } from "./allocate-budget.js";

const windows = randomWindows(3, 12, { vocabulary: 61 });
const provider = nodeProvider();

async function setUp(options: Partial<planFold.Options>) {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  return { checkpoint, plan: planFold(checkpoint.config, { keep: "1/2", method: "svd-w", ...options }) };
}

describe("allocateBudget", () => {
  it("leaves a uniform plan as it is", async () => {
    const { checkpoint, plan } = await setUp({});
    expect(await allocateBudget({ checkpoint, plan })).toBe(plan);
  });

  it("settles the layers and their cache, and nothing else", async () => {
    const { checkpoint, plan } = await setUp({ budget: "lorc-progressive", keySpan: 4, valueSpan: 4 });
    const settled = await allocateBudget({ checkpoint, plan });
    const side = (rank: number) => ({ span: 4, heads: 1, rank });
    expect(settled).toEqual({
      ...plan,
      settled: true,
      // Two layers: the first whole but for what the last keeps at least, a quarter of 32.
      layers: [56, 8].map((rank) => ({ keys: side(rank), values: side(rank) })),
    });
  });

  it("says how many bytes it leaves where the grid is too coarse for the total", async () => {
    const { checkpoint, plan } = await setUp({ budget: "knapsack", method: "svd-a", keep: "3/4" });
    const { cacheBytesPerToken } = await allocateBudget({ checkpoint, plan, windows, provider });
    expect(cacheBytesPerToken).toEqual(plan.cacheBytesPerToken);
  });

  it.each(["knapsack", "eigen-threshold"])(
    "of %s comes out alike from moments measured before",
    async (budget) => {
      const { checkpoint, plan } = await setUp({
        budget,
        method: "svd-a",
        keep: "3/8",
        keySpan: 4,
        valueSpan: 4,
      });
      const moments: StageMoments[] = [];
      const onMoments = (layer: number, stage: StageMoments) => {
        moments[layer] = stage;
      };
      const uniform = { ...plan, settled: true };
      await foldModel({ checkpoint, plan: uniform, outputs: [], windows, provider, onMoments });
      const live = await allocateBudget({ checkpoint, plan, windows, provider });
      expect(await allocateBudget({ checkpoint, plan, windows, provider, moments })).toEqual(live);
    },
  );

  it("tells of every layer", async () => {
    const { checkpoint, plan } = await setUp({ budget: "knapsack" });
    const seen: BudgetProgress[] = [];
    const onBudget = (progress: BudgetProgress) => void seen.push(progress);
    await allocateBudget({ checkpoint, plan, windows, provider, onBudget });
    expect(seen).toEqual([
      { done: 1, total: 2 },
      { done: 2, total: 2 },
    ]);
  });

  it("stops at a signal", async () => {
    const { checkpoint, plan } = await setUp({ budget: "eigen-threshold" });
    const controller = new AbortController();
    const onBudget = () => controller.abort();
    const { signal } = controller;
    await expect(allocateBudget({ checkpoint, plan, windows, provider, onBudget, signal })).rejects.toThrow(
      expect.objectContaining({ code: "aborted" }),
    );
  });
});

describe("a budget that is not settled", () => {
  it("is refused by a fold", async () => {
    const { checkpoint, plan } = await setUp({ budget: "knapsack" });
    await expect(foldModel({ checkpoint, plan, outputs: [] })).rejects.toThrow(
      expect.objectContaining({
        code: "invalid-option",
        message:
          "budget knapsack: the plan's layers are not settled yet; pass it through allocateBudget first",
      }),
    );
  });

  it.each([
    ["no windows", {}],
    ["windows of one token", { windows: randomWindows(1, 1, { vocabulary: 61 }), provider }],
    ["windows without a provider", { windows }],
  ])("asks for text when there are %s", async (_, given) => {
    const { checkpoint, plan } = await setUp({ budget: "knapsack" });
    await expect(allocateBudget({ checkpoint, plan, ...given })).rejects.toThrow(
      expect.objectContaining({
        code: "insufficient-data",
        message: "budget knapsack needs calibration text; give token windows of two tokens or more",
      }),
    );
  });
});
