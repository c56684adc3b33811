import { describe, expect, it } from "vitest";
import { modelFigures } from "../src/jobs/evaluation-figures.js";
import type { Measurements, ModelLosses } from "../src/jobs/measure-models.js";

const run = (shift: number, ...losses: readonly number[][]) => ({
  shift,
  losses: losses.map((window) => Float64Array.from(window)),
});
const model = (path: string, ...runs: ModelLosses["runs"]): ModelLosses => ({
  path,
  cacheBytesPerToken: 1,
  runs,
});
const figuresOf = (models: readonly ModelLosses[], keyTokens?: Measurements["keyTokens"]) =>
  models.map((_, index) => modelFigures({ models, keyTokens }, index, { seed: 0 }));

describe("modelFigures", () => {
  const original = model("m", run(0, [1, 2, 3], [3, 4, 5]));

  it("compares perplexities, with errors that are paired", () => {
    // Twice half a nat more in every window.
    const [first, second] = figuresOf([original, model("half", run(0, [1.5, 2.5, 3.5], [3.5, 4.5, 5.5]))]);
    expect(first).toMatchObject({ nll: 3, perplexity: Math.exp(3), ratio: 1, tokens: 6 });
    expect(second).toMatchObject({ nll: 3.5, ratio: expect.closeTo(Math.exp(0.5), 12) as number });
    expect(first!.bootstrap.perplexity!.error).toBeGreaterThan(1);
    expect(first!.bootstrap.perplexity).toMatchObject({ low: Math.exp(2), high: Math.exp(4) });
    expect(second!.bootstrap.ratio!.error).toBeLessThan(1e-12);
  });

  it("averages divergences over tokens", () => {
    const divergence = {
      kl: [
        { total: 1, tokens: 3 },
        { total: 2, tokens: 3 },
      ],
      changes: [
        { total: 0, tokens: 3 },
        { total: 3, tokens: 3 },
      ],
    };
    const half = model("half", { ...run(0, [1, 2, 3], [3, 4, 5]), divergence });
    const [first, second] = figuresOf([original, half]);
    expect(first).not.toHaveProperty("kl");
    expect(second).toMatchObject({ kl: 0.5, changedChoices: 0.5 });
    expect(second!.bootstrap.kl).toMatchObject({
      low: expect.closeTo(1 / 3, 12) as number,
      high: expect.closeTo(2 / 3, 12) as number,
    });
  });

  it("has figures by position", () => {
    const long = (near: number, far: number) =>
      Array.from({ length: 100 }, (_, at) => (at < 64 ? near : far));
    const [, second] = figuresOf([model("m", run(0, long(2, 1))), model("half", run(0, long(2, 1.5)))]);
    expect(second!.positions).toMatchObject([
      { start: 0, end: 64, nll: 2, ratio: 1, tokens: 64 },
      { start: 64, end: 100, nll: 1.5, ratio: expect.closeTo(Math.exp(0.5), 12) as number, tokens: 36 },
    ]);
  });

  it("has LongPPL over the key tokens of all windows, and none where there are no such tokens", () => {
    const half = model("half", run(0, [1, 4, 3], [3, 4, 7]));
    const [, second] = figuresOf([original, half], [[1], [0, 2]]);
    // 4, 3 and 7 beside 2, 3 and 5.
    expect(second!.keyTokens).toMatchObject({
      nll: 14 / 3,
      ratio: expect.closeTo(Math.exp(4 / 3), 12) as number,
      tokens: 3,
    });
    expect(figuresOf([original], [[], []])[0]).not.toHaveProperty("keyTokens");
    expect(figuresOf([original])[0]).not.toHaveProperty("keyTokens");
  });

  it("compares shifts to the first model there, and to the model itself without one", () => {
    const moved = model("m", run(0, [1, 2]), run(64, [1, 3]));
    const half = model("half", run(0, [2, 2]), run(64, [3, 4]));
    const [first, second] = figuresOf([moved, half]);
    const near = (value: number) => expect.closeTo(value, 12) as number;
    expect(first!.shifts).toMatchObject([
      { shift: 0, ratio: 1, change: 1 },
      { shift: 64, ratio: 1, change: near(Math.exp(0.5)) },
    ]);
    expect(second!.shifts).toMatchObject([
      { shift: 0, ratio: near(Math.exp(0.5)), change: 1 },
      { shift: 64, ratio: near(Math.exp(1.5)), change: near(Math.exp(1.5)) },
    ]);
    expect(second!.ratio).toBe(second!.shifts![0]!.ratio);
    expect(figuresOf([original])[0]).not.toHaveProperty("shifts");
  });
});
