import { describe, expect, it } from "vitest";
import { median } from "../src/jobs/median.js";
import { planCheckpoint } from "../src/jobs/plan.js";
import { renderBench } from "../src/render/bench.js";
import { renderCopying } from "../src/render/copying.js";
import { renderEvaluation } from "../src/render/evaluation.js";
import { formatRatio, formatSeconds } from "../src/render/format.js";
import { renderPlan } from "../src/render/plan.js";
import { renderTable } from "../src/render/table.js";
import { coloursFor } from "../src/ui/terminal.js";
import { ROPE_MODEL } from "./support.js";

const plain = coloursFor({ isTTY: false });

describe("formats", () => {
  it("writes ratios and times", () => {
    expect(formatRatio(1.23456)).toBe("1.2346");
    expect(formatSeconds(5.25)).toBe("5.3 s");
    expect(formatSeconds(125.4)).toBe("2 min 5 s");
  });
});

describe("renderTable", () => {
  it("aligns columns", () => {
    const rows = [
      { name: "a", count: 7 },
      { name: "long", count: 100 },
    ];
    const table = renderTable(rows, [
      { heading: "name", cell: ({ name }) => name },
      { heading: "n", align: "right", cell: ({ count }) => String(count) },
    ]);
    expect(table).toBe("name    n\na       7\nlong  100");
  });
});

describe("renderPlan", () => {
  it("shows what a plan does and saves", async () => {
    const plan = await planCheckpoint({ model: ROPE_MODEL, keep: "1/4", method: "paper" });
    const text = renderPlan(plan, plain);
    expect(text).toContain("12.0 KiB -> 3.0 KiB");
    expect(text).toContain("0-5     span 8: 1 head of 64  span 4: 2 heads of 32");
    expect(text).toContain("budget                 uniform\n");
  });

  it("says what is kept, and how far that is from what was asked", async () => {
    const kept = async (keep: string) => {
      const plan = await planCheckpoint({
        model: ROPE_MODEL,
        keep,
        method: "svd-a",
        keySpan: 1,
        valueSpan: 1,
      });
      return /\nkept {2,}(.*)\n/.exec(renderPlan(plan, plain))![1];
    };
    expect(await kept("1/2")).toBe("50.0 %");
    // 32 numbers at 0.27: 8 of 8.64.
    expect(await kept("0.27")).toMatch(/^25\.0 % \(7\.4 % less than asked: /);
    expect(await kept("0.23")).toMatch(/^25\.0 % \(8\.7 % more than asked: /);
  });

  it("says that a budget settles ranks by measurement, and shows them settled", async () => {
    const plan = await planCheckpoint({
      model: ROPE_MODEL,
      keep: "1/2",
      method: "svd-w",
      budget: "knapsack",
    });
    const open = renderPlan(plan, plain);
    expect(open).toContain("knapsack: folding settles the ranks by measurement; those below are uniform");
    expect(open).toContain("measures what the knapsack budget compares");
    const [layer] = plan.layers;
    const last = { ...layer!, keys: { ...layer!.keys, rank: 8 } };
    const settled = renderPlan({ ...plan, layers: [layer!, layer!, last], settled: true }, plain);
    expect(settled).toContain("budget                 knapsack\n");
    expect(settled).toMatch(/\n0-1 .*\n2 .*heads of 8 /);
  });
});

describe("renderBench", () => {
  it("shows medians, ratios and what was skipped", () => {
    const speed = { tokensPerSecond: 50, ratio: 1.5, seconds: [1] };
    const row = {
      path: "m",
      context: 64,
      promptTokens: 32,
      decodedTokens: 32,
      prefill: speed,
      decode: speed,
    };
    const text = renderBench(
      {
        device: "cpu",
        models: [{ path: "m", cacheBytesPerToken: 1024 }],
        measurements: [{ ...row, decode: { ...speed, ratio: null } }],
        skipped: [{ path: "m", context: 2048, maxPositions: 1024 }],
      },
      plain,
    );
    expect(text.split("\n")[1]).toBe("     64  m      64.0 KiB           50.0  1.5000          50.0      -");
    expect(text).toContain("skipped m at 2048: its context ends at 1024");
  });
});

describe("renderEvaluation", () => {
  const estimate = (error: number) => ({ error, low: 0, high: 9 });
  const figures = {
    nll: 3.5,
    perplexity: 33.125,
    ratio: 1,
    tokens: 2048,
    bootstrap: { perplexity: estimate(0.5), ratio: estimate(0) },
  };
  const halved = {
    ...figures,
    nll: 3.6,
    perplexity: 36.598,
    ratio: 1.1052,
    bootstrap: { perplexity: estimate(0.6), ratio: estimate(0.0123) },
  };
  const divergence = { kl: 0.12345, changedChoices: 0.25 };
  const positions = (of: typeof figures) => [
    { start: 0, end: 64, ...of },
    { start: 64, end: 1024, ...of },
  ];
  const first = { path: "m", ...figures, positions: positions(figures), cacheBytesPerToken: 2048 };
  const half = {
    path: "half",
    ...halved,
    ...divergence,
    positions: positions(halved),
    cacheBytesPerToken: 1024,
  };
  const lines = (result: Parameters<typeof renderEvaluation>[0], tables: readonly "positions"[] = []) =>
    renderEvaluation(result, { tables }, plain).split("\n");

  it("shows figures with their errors, and what changed beside the first model", () => {
    expect(lines({ device: "cpu", windows: 2, models: [first, half] })).toEqual([
      "model     nll      perplexity            ratio      KL  changed  tokens  cache/token",
      "m      3.5000  33.125 ± 0.500           1.0000                     2048      2.0 KiB",
      "half   3.6000  36.598 ± 0.600  1.1052 ± 0.0123  0.1235   25.0 %    2048      1.0 KiB",
      "",
      expect.stringMatching(/^±: .* 2 windows .* KL: .* Changed: /),
    ]);
  });

  it("shows no errors of a single window, and no KL of a single model", () => {
    const alone = { ...first, bootstrap: {} };
    expect(lines({ device: "cpu", windows: 1, models: [alone] })).toEqual([
      "model     nll  perplexity   ratio  tokens  cache/token",
      "m      3.5000      33.125  1.0000    2048      2.0 KiB",
    ]);
  });

  it("has tables of shifts, positions and key tokens below", () => {
    const shifted = { ...halved, ...divergence, shift: 4096, change: 1.25 };
    const models = [
      { ...first, keyTokens: figures, shifts: [{ ...figures, shift: 4096, change: 1 }] },
      { ...half, keyTokens: halved, shifts: [shifted] },
    ];
    const text = lines({ device: "cpu", windows: 2, models, keyTokens: { shortContext: 256, tokens: 512 } }, [
      "positions",
    ]);
    expect(text.slice(6, 9)).toEqual([
      "shift  model      perplexity  to shift 0            ratio      KL  changed",
      " 4096  m      33.125 ± 0.500      1.0000           1.0000",
      " 4096  half   36.598 ± 0.600      1.2500  1.1052 ± 0.0123  0.1235   25.0 %",
    ]);
    expect(text.slice(12, 17)).toEqual([
      "positions  model     nll            ratio  tokens",
      "     0-63  m      3.5000           1.0000    2048",
      "     0-63  half   3.6000  1.1052 ± 0.0123    2048",
      "  64-1023  m      3.5000           1.0000    2048",
      "  64-1023  half   3.6000  1.1052 ± 0.0123    2048",
    ]);
    expect(text.slice(18)).toEqual([
      "model         LongPPL            ratio",
      "m      33.125 ± 0.500           1.0000",
      "half   36.598 ± 0.600  1.1052 ± 0.0123",
      "",
      expect.stringMatching(/over the 512 tokens \(25\.0 %\) .* from the 256 tokens before them\.$/),
    ]);
  });

  it("says that there are few key tokens, or none", () => {
    const text = lines({
      device: "cpu",
      windows: 2,
      models: [first],
      keyTokens: { shortContext: 256, tokens: 0 },
    });
    expect(text.at(-1)).toMatch(/over the 0 tokens .* So few say little/);
  });
});

describe("renderCopying", () => {
  it("shows what the first occurrence is worth, models in turn at each distance", () => {
    const score = { accuracy: 0.5, control: { nll: 3.5, accuracy: 0.25 }, tokens: 62 };
    const near = { ...score, distance: 32, nll: 2.5, gain: 1, gainError: 0.125, ratio: 1 };
    const far = { ...score, distance: 512, nll: 3.25, gain: 0.25, gainError: undefined, ratio: 0.5 };
    const model = (path: string) => ({ path, distances: [near, far], cacheBytesPerToken: 1024 });
    const text = renderCopying(
      { device: "cpu", repeat: "passages", models: [model("m"), model("half")] },
      plain,
    );
    expect(text.split("\n").slice(0, 5)).toEqual([
      "distance  model  nll unseen   seen           gain  ratio  accuracy unseen    seen",
      "      32  m           3.500  2.500  1.000 ± 0.125   1.00           25.0 %  50.0 %",
      "      32  half        3.500  2.500  1.000 ± 0.125   1.00           25.0 %  50.0 %",
      "     512  m           3.500  3.250          0.250   0.50           25.0 %  50.0 %",
      "     512  half        3.500  3.250          0.250   0.50           25.0 %  50.0 %",
    ]);
  });
});

describe("coloursFor", () => {
  it("colours terminals only, and not where NO_COLOR is set", () => {
    expect(coloursFor({ isTTY: true }, {}).red("x")).toBe("\u001b[31mx\u001b[39m");
    expect(coloursFor({ isTTY: true }, { NO_COLOR: "1" }).red("x")).toBe("x");
    expect(coloursFor({ isTTY: false }, {}).red("x")).toBe("x");
  });
});

describe("median", () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
    [[7], 7],
    [[], Number.NaN],
  ])("of %j is %d", (values, middle) => expect(median(values)).toBe(middle));
});
