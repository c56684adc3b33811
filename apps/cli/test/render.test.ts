import { describe, expect, it } from "vitest";
import { median } from "../src/jobs/median.js";
import { planCheckpoint } from "../src/jobs/plan.js";
import { renderBench } from "../src/render/bench.js";
import { renderCopying } from "../src/render/copying.js";
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

describe("renderCopying", () => {
  it("shows what the first occurrence is worth, models in turn at each distance", () => {
    const score = { accuracy: 0.5, control: { nll: 3.5, accuracy: 0.25 }, tokens: 62 };
    const near = { ...score, distance: 32, nll: 2.5, gain: 1, gainError: 0.125, ratio: 1 };
    const far = { ...score, distance: 512, nll: 3.25, gain: 0.25, gainError: undefined, ratio: 0.5 };
    const model = (path: string) => ({ path, distances: [near, far], cacheBytesPerToken: 1024 });
    const text = renderCopying({ repeat: "passages", models: [model("m"), model("half")] }, plain);
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
