import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { distance } from "../../test/near.js";
import { attentionRows, storedAttention } from "./attention-rows.js";
import type { HeadRows } from "./head-rows.js";

const collect = (attention: ReturnType<typeof attentionRows>) => {
  const rows: { head: number; query: number; row: number[] }[] = [];
  attention.visit((row, head, query) => rows.push({ head, query, row: Array.from(row) }));
  return rows;
};

/** One weight by its definition. */
function naiveRow(keys: HeadRows, queries: HeadRows, head: number, query: number): number[] {
  const kvHead = Math.floor(head / (queries.heads / keys.heads));
  const visible = keys.rows - queries.rows + query + 1;
  const exponentials = Array.from({ length: visible }, (_, token) => {
    let score = 0;
    for (let j = 0; j < keys.width; j++) {
      const key = keys.data[(kvHead * keys.rows + token) * keys.width + j]!;
      score += key * queries.data[(head * queries.rows + query) * keys.width + j]!;
    }
    return Math.exp(score / Math.sqrt(keys.width));
  });
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}

describe("attentionRows", () => {
  it("shares attention as the exponentials of scores, among the tokens that a query sees", () => {
    const keys = { data: Float32Array.of(0, Math.log(2), Math.log(5)), heads: 1, rows: 3, width: 1 };
    const queries = { data: Float32Array.of(1, 2), heads: 1, rows: 2, width: 1 };
    const [first, second] = collect(attentionRows({ keys, queries, scale: 1 }));
    expect(distance(first!.row, [1 / 3, 2 / 3])).toBeLessThan(1e-6);
    expect(distance(second!.row, [1 / 30, 4 / 30, 25 / 30])).toBeLessThan(1e-6);
  });

  it("is the definition for any number of heads, queries and tokens", () => {
    const sizes = fc.record({
      kvHeads: fc.integer({ min: 1, max: 3 }),
      group: fc.integer({ min: 1, max: 3 }),
      past: fc.integer({ min: 0, max: 6 }),
      queries: fc.integer({ min: 1, max: 9 }),
      width: fc.integer({ min: 1, max: 5 }),
    });
    const rows = (heads: number, count: number, width: number, seed: number): HeadRows => ({
      data: Float32Array.from({ length: heads * count * width }, (_, i) => 2 * Math.sin(seed + 1.7 * i * i)),
      heads,
      rows: count,
      width,
    });
    fc.assert(
      fc.property(sizes, ({ kvHeads, group, past, queries: count, width }) => {
        const keys = rows(kvHeads, past + count, width, 1);
        const queries = rows(kvHeads * group, count, width, 2);
        const found = collect(attentionRows({ keys, queries }));
        expect(found.length).toBe(kvHeads * group * count);
        for (const [index, { head, query, row }] of found.entries()) {
          expect([head, query]).toEqual([Math.floor(index / count), index % count]);
          expect(distance(row, naiveRow(keys, queries, head, query))).toBeLessThan(1e-7);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("does not overflow", () => {
    const keys = { data: Float32Array.of(1000, 999), heads: 1, rows: 2, width: 1 };
    const queries = { data: Float32Array.of(1), heads: 1, rows: 1, width: 1 };
    const [only] = collect(attentionRows({ keys, queries, scale: 1 }));
    expect(distance(only!.row, [1 / (1 + Math.exp(-1)), 1 / (1 + Math.E)])).toBeLessThan(1e-6);
  });

  it.each([
    [{ heads: 3, rows: 1, width: 2 }, "expected query heads in equal groups over 2 KV heads, found 3"],
    [
      { heads: 2, rows: 4, width: 2 },
      "expected the queries of the last of 3 cached tokens, found 4 queries that see 0, 1, 2, 3",
    ],
    [{ heads: 2, rows: 1, width: 3 }, "expected queries as wide as keys, 2, found 3"],
  ])("refuses queries that do not fit: %o", (sizes, message) => {
    const of = (shape: typeof sizes) => ({
      ...shape,
      data: new Float32Array(shape.heads * shape.rows * shape.width),
    });
    expect(() => attentionRows({ keys: of({ heads: 2, rows: 3, width: 2 }), queries: of(sizes) })).toThrow(
      message,
    );
  });
});

describe("storedAttention", () => {
  it("shows what each query saw", () => {
    const weights = Float32Array.of(1, 0, 0.5, 0.5);
    const stored = storedAttention({ weights, kvHeads: 1, heads: 1, queries: 2, tokens: 2 });
    expect(collect(stored)).toEqual([
      { head: 0, query: 0, row: [1] },
      { head: 0, query: 1, row: [0.5, 0.5] },
    ]);
  });

  it("stops where a query sees no further, also when tokens of the window have gone", () => {
    const weights = Float32Array.of(1, 0, 0.5, 0.5);
    const places = { past: 1, visible: [1, 2] };
    const stored = storedAttention({ weights, kvHeads: 1, heads: 1, queries: 2, tokens: 2, places });
    expect(collect(stored).map(({ row }) => row)).toEqual([[1], [0.5, 0.5]]);
    const beyond = { past: 1, visible: [2, 3] };
    expect(() =>
      storedAttention({ weights, kvHeads: 1, heads: 1, queries: 2, tokens: 2, places: beyond }),
    ).toThrow("expected the queries of the last of 2 cached tokens, found 2 queries that see 2, 3");
  });

  it("refuses weights of another shape", () => {
    const sizes = { kvHeads: 1, heads: 1, queries: 2, tokens: 2 };
    expect(() => storedAttention({ weights: new Float32Array(3), ...sizes })).toThrow("found 3 numbers");
  });
});
