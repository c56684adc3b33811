import { readConfig } from "@kvfold/decoder";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyBloom, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { numbersPerToken } from "../plan/cache-size.js";
import { planFold } from "../plan/plan-fold.js";
import { rankGrid } from "./rank-grid.js";

const read = (config: Readonly<Record<string, unknown>>) => readConfig(JSON.stringify(config));
const llama = read({ ...tinyLlama, num_attention_heads: 16, num_key_value_heads: 8 });
const bloom = read(tinyBloom);

function gridOf(config: typeof llama, options: planFold.Options) {
  const plan = planFold(config, options);
  return { plan, grid: rankGrid(plan, config.shape) };
}

describe("rankGrid", () => {
  it("goes in eights under fused attention", () => {
    const { grid } = gridOf(llama, { keep: "1/2", method: "svd-a", keySpan: 4, valueSpan: 4 });
    expect(grid).toMatchObject({ layers: 2, full: 8, uniform: 4, total: 8 });
    const side = { span: 4, heads: 2, rank: 24 };
    expect(grid.layer(3)).toEqual({ keys: side, values: side });
  });

  it("goes in pairs elsewhere, and in ones where the uniform rank is odd", () => {
    expect(gridOf(bloom, { keep: "1/2", method: "svd-a" }).grid).toMatchObject({ full: 8, uniform: 4 });
    const odd = { keep: "5/8", method: "svd-a", keySpan: 1, valueSpan: 1 };
    expect(gridOf(bloom, odd).grid).toMatchObject({ full: 8, uniform: 5, total: 10 });
  });

  it("keeps the same share of keys and values where spans differ", () => {
    const { grid } = gridOf(llama, { keep: "1/2", method: "paper" });
    expect(grid.layer(3)).toEqual({
      keys: { span: 8, heads: 1, rank: 24 },
      values: { span: 2, heads: 4, rank: 6 },
    });
    expect(grid.unitsFor({ keys: 24, values: 1 })).toBe(3);
    expect(grid.unitsFor({ keys: 1, values: 7 })).toBe(4);
    expect([grid.unitsFor({ keys: 0, values: 0 }), grid.unitsFor({ keys: 999, values: 0 })]).toEqual([1, 16]);
  });

  it("holds the uniform layer, and units that all cost the same", () => {
    const spans = fc.constantFrom(1, 2, 4, 8);
    fc.assert(
      fc.property(spans, spans, fc.constantFrom("1/2", "1/4", "3/4", "5/8"), (keySpan, valueSpan, keep) => {
        const { plan, grid } = gridOf(llama, { keep, method: "svd-a", keySpan, valueSpan });
        expect(grid.layer(grid.uniform)).toEqual(plan.layers[0]);
        const unit = numbersPerToken(grid.layer(1));
        for (const units of [2, grid.full]) expect(numbersPerToken(grid.layer(units))).toBe(units * unit);
        // Whole layers: both sides of 8 heads of 16.
        expect(grid.full * unit).toBe(2 * 8 * 16);
      }),
    );
  });
});
