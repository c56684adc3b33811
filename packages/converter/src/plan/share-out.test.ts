import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { numbersPerToken } from "./cache-size.js";
import type { LayerPlan } from "./fold-plan.js";
import { shareOut } from "./share-out.js";

const layer = (keys: [number, number], values: [number, number], kvHeads = 8): LayerPlan => ({
  keys: { span: keys[0], heads: kvHeads / keys[0], rank: keys[1] },
  values: { span: values[0], heads: kvHeads / values[0], rank: values[1] },
});
const ranks = ({ keys, values }: LayerPlan) => [keys.rank, values.rank];

describe("shareOut", () => {
  it("moves numbers from one side to the other, in steps of eight", () => {
    expect(ranks(shareOut(layer([8, 64], [8, 64]), 5 / 16, 32))).toEqual([40, 88]);
    expect(ranks(shareOut(layer([8, 64], [8, 64]), 0.3, 32))).toEqual([40, 88]);
    expect(ranks(shareOut(layer([8, 64], [8, 64]), 0.75, 32))).toEqual([96, 32]);
  });

  it("goes in smaller steps where ranks are no multiples of eight", () => {
    expect(ranks(shareOut(layer([8, 20], [8, 20]), 0.3, 32))).toEqual([12, 28]);
    expect(ranks(shareOut(layer([8, 5], [8, 5]), 0.3, 32))).toEqual([3, 7]);
  });

  it("gives several narrow heads what one wide head gives up", () => {
    expect(shareOut(layer([8, 128], [2, 32]), 0.375, 32)).toEqual(layer([8, 96], [2, 40]));
  });

  it("stops where a side is whole", () => {
    expect(ranks(shareOut(layer([8, 192], [8, 192]), 0.1, 32))).toEqual([128, 256]);
    expect(ranks(shareOut(layer([8, 256], [8, 256]), 0.1, 32))).toEqual([256, 256]);
  });

  it("keeps the total, and ranks that heads can hold", () => {
    const spans = fc.constantFrom(1, 2, 4, 8);
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        spans,
        spans,
        fc.integer({ min: 1, max: 16 }),
        share,
        (keySpan, valueSpan, sixteenths, keyShare) => {
          const rank = (span: number) => (span * 16 * sixteenths) / 16;
          const even = layer([keySpan, rank(keySpan)], [valueSpan, rank(valueSpan)]);
          const shared = shareOut(even, keyShare, 16);
          expect(numbersPerToken(shared)).toBe(numbersPerToken(even));
          for (const side of [shared.keys, shared.values]) {
            expect(side.rank).toBeGreaterThan(0);
            expect(side.rank).toBeLessThanOrEqual(side.span * 16);
          }
        },
      ),
    );
  });
});
