import { type ModelConfig, readConfig } from "@kvfold/decoder";
import { attentionKind } from "@kvfold/decoder/graph";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tinyBloom, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { rankGrid } from "../budgets/rank-grid.js";
import { findMethod, methods } from "../methods/index.js";
import { cacheShapes } from "./cache-size.js";
import { greatestDivisor } from "./greatest-divisor.js";
import { planFold } from "./plan-fold.js";

const read = (config: Readonly<Record<string, unknown>>) => readConfig(JSON.stringify(config));

/** A Llama with this many KV heads, twice as many query heads. */
const llama = (kvHeads: number, headDim: number): ModelConfig =>
  read({
    ...tinyLlama,
    num_attention_heads: 2 * kvHeads,
    num_key_value_heads: kvHeads,
    head_dim: headDim,
  });
const bloom = (heads: number, headDim: number): ModelConfig =>
  read({ ...tinyBloom, n_head: heads, hidden_size: heads * headDim });

/** All methods that may keep any share. */
const free = methods.filter(({ standardShape }) => !standardShape).map(({ name }) => name);

const requests = fc.record({
  family: fc.constantFrom(llama, bloom),
  kvHeads: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 20, 32),
  headDim: fc.constantFrom(16, 20, 32, 40, 64, 80, 84, 96, 128, 192, 256),
  sixteenths: fc.oneof(fc.integer({ min: 1, max: 16 }), fc.double({ min: 1, max: 16, noNaN: true })),
  method: fc.constantFrom(...free),
});

/** A share with few enough digits to be a fraction. */
const shareOf = (sixteenths: number): string => (Math.round((sixteenths / 16) * 100) / 100).toFixed(2);

describe("any share of any number of heads", () => {
  it("is planned without a span, within a step of what is asked", () => {
    fc.assert(
      fc.property(requests, ({ family, kvHeads, headDim, sixteenths, method }) => {
        const keep = shareOf(sixteenths);
        const config = family(kvHeads, headDim);
        const plan = planFold(config, { keep, method });
        const { keys, values } = plan.layers[0]!;
        for (const { span, heads, rank } of [keys, values]) {
          expect(span * heads).toBe(kvHeads);
          expect(Number.isInteger(span) && Number.isInteger(rank)).toBe(true);
          expect(rank).toBeGreaterThanOrEqual(1);
          expect(rank).toBeLessThanOrEqual(span * headDim);
        }
        const kept = (keys.heads * keys.rank + values.heads * values.rank) / (2 * kvHeads * headDim);
        expect(plan.achieved).toBe(kept);
        const { before, after } = plan.cacheBytesPerToken;
        expect(after / before).toBeCloseTo(kept, 12);
        // A step is eight numbers of a fused head where that is little, else the pair that a complex code takes.
        const wanted = Number(keep);
        const pair = 2 / (greatestDivisor(keys.span, values.span) * headDim);
        expect(Math.abs(kept - wanted)).toBeLessThanOrEqual(Math.max(wanted / 10, pair) + 1e-12);
      }),
      { numRuns: 500 },
    );
  });

  it("takes the fused operator where all its layers fit", () => {
    fc.assert(
      fc.property(requests, ({ family, kvHeads, headDim, sixteenths, method }) => {
        const config = family(kvHeads, headDim);
        const plan = planFold(config, { keep: shareOf(sixteenths), method });
        const fits = attentionKind(
          { ...cacheShapes(plan.layers[0]!), expanded: undefined },
          config.blocks[0]!.attention,
        );
        const { keysBeforeRope = false, joint } = findMethod(method);
        const isPlain = joint !== undefined || (keysBeforeRope && family === llama);
        expect(plan.attention).toBe(isPlain ? "plain" : fits);
      }),
      { numRuns: 300 },
    );
  });

  it("leaves budgets a grid that holds the uniform layer", () => {
    fc.assert(
      fc.property(requests, ({ family, kvHeads, headDim, sixteenths, method }) => {
        const config = family(kvHeads, headDim);
        const plan = planFold(config, { keep: shareOf(sixteenths), method, budget: "knapsack" });
        const grid = rankGrid(plan, config.shape);
        expect(Number.isInteger(grid.uniform)).toBe(true);
        expect(grid.layer(grid.uniform)).toEqual(plan.layers[0]);
      }),
      { numRuns: 300 },
    );
  });

  const side = (span: number, heads: number, rank: number) => ({ span, heads, rank });
  const even = (span: number, heads: number, rank: number) => ({
    keys: side(span, heads, rank),
    values: side(span, heads, rank),
  });

  it.each([
    ["the 3 heads of SmolLM2-135M at 1/4", 3, 64, "latent", "1/4", even(3, 1, 48), "group-query", 1 / 4],
    ["one head (MQA) at 1/2", 1, 64, "latent", "1/2", even(1, 1, 32), "group-query", 1 / 2],
    ["one head at 1/16, too little for eights", 1, 64, "latent", "1/16", even(1, 1, 4), "plain", 1 / 16],
    ["8 heads at 1/3", 8, 64, "latent", "1/3", even(8, 1, 168), "group-query", 168 / 512],
    ["8 heads at 1/3, grouped", 8, 64, "svd-a", "1/3", even(4, 2, 88), "group-query", 88 / 256],
    ["32 heads at a share of many digits", 32, 64, "svd-a", "0.333", even(4, 8, 88), "group-query", 88 / 256],
    ["5 heads at 1/16, no eight near it", 5, 64, "svd-w", "1/16", even(5, 1, 20), "plain", 1 / 16],
    ["an odd rank of pairs", 1, 16, "commuting-reallocated", "1/16", even(1, 1, 2), "plain", 1 / 8],
    ["3 heads, whole", 3, 64, "commuting", "1/3", even(3, 1, 64), "group-query", 1 / 3],
    ["3 heads, averaged", 3, 64, "mean", "1/3", even(3, 1, 64), "group-query", 1 / 3],
    ["9 heads, no divisor between 4 and all", 9, 16, "svd-a", "1/4", even(9, 1, 36), "plain", 1 / 4],
    ["a joint latent of eights", 3, 64, "anchored", "1/4", even(3, 1, 48), "plain", 1 / 4],
    ["a joint latent with no eight near it", 1, 48, "anchored", "1/15", even(1, 1, 3), "plain", 1 / 16],
    ["32 heads of 64 in joint latents of 8", 32, 64, "anchored", "1/8", even(8, 4, 64), "plain", 1 / 8],
  ] as const)("%s", (_, kvHeads, headDim, method, keep, layer, attention, achieved) => {
    const plan = planFold(llama(kvHeads, headDim), { keep, method });
    expect(plan).toMatchObject({ layers: [layer, layer], attention, achieved });
  });

  it("takes a share as a number too", () => {
    expect(planFold(llama(3, 64), { keep: 1 / 3 })).toEqual(planFold(llama(3, 64), { keep: "1/3" }));
  });
});
