import { readConfig } from "@kvfold/decoder";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyBloom, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { findMethod } from "../methods/index.js";
import { numbersPerToken } from "../plan/cache-size.js";
import { planFold } from "../plan/plan-fold.js";
import { rankGrid } from "./rank-grid.js";
import { rankItems } from "./rank-items.js";

const read = (config: Readonly<Record<string, unknown>>) => readConfig(JSON.stringify(config));
const llama = read({ ...tinyLlama, num_attention_heads: 16, num_key_value_heads: 8 });
const bloom = read(tinyBloom);

function itemsOf(config: typeof llama, options: planFold.Options) {
  const plan = planFold(config, options);
  return { plan, ...rankItems(plan, findMethod(plan.method), config.shape, rankGrid(plan, config.shape)) };
}

describe("rankItems", () => {
  it("is the grid of whole layers under fused attention", () => {
    const spans = { keySpan: 4, valueSpan: 4 };
    const { items, total, layer } = itemsOf(llama, { keep: "1/2", method: "svd-a", ...spans });
    expect(items).toMatchObject([{ full: 8, uniform: 4, cost: 1 }]);
    expect(total).toBe(8);
    const side = { span: 4, heads: 2, rank: 24 };
    expect(layer([3])).toEqual({ keys: side, values: side });
    expect(items[0]!.alone(3)).toEqual(layer([3]));
  });

  it("is each side of a layer elsewhere, the other side whole", () => {
    const { items, total, layer } = itemsOf(bloom, { keep: "1/2", method: "svd-a" });
    // 2 heads of 8 a group, in pairs.
    expect(items).toMatchObject([
      { full: 8, uniform: 4, cost: 1 },
      { full: 8, uniform: 4, cost: 1 },
    ]);
    expect(total).toBe(2 * 8);
    const side = (rank: number) => ({ span: 2, heads: 3, rank });
    expect(layer([1, 5])).toEqual({ keys: side(2), values: side(10) });
    expect(items[0]!.alone(3)).toEqual({ keys: side(6), values: side(16) });
    expect(items[1]!.alone(3)).toEqual({ keys: side(16), values: side(6) });
  });

  it("holds the uniform layer, and counts what sides of different spans take", () => {
    const spans = fc.constantFrom(1, 2, 4, 8);
    fc.assert(
      fc.property(spans, spans, fc.constantFrom("1/2", "1/4", "3/4", "5/8"), (keySpan, valueSpan, keep) => {
        const { plan, items, total, layer } = itemsOf(llama, { keep, method: "svd-a", keySpan, valueSpan });
        const uniform = layer(items.map((item) => item.uniform));
        expect(uniform).toEqual(plan.layers[0]);
        const costOf = (units: readonly number[]) =>
          items.reduce((sum, { cost }, index) => sum + cost * units[index]!, 0);
        const unit = (plan.layers.length * numbersPerToken(uniform)) / total;
        const mixed = items.map(({ full }, index) => Math.max(1, full - index));
        expect(numbersPerToken(layer(mixed))).toBe(unit * costOf(mixed));
      }),
    );
  });
});
