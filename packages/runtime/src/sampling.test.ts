import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { argmax, createRandom, sampleToken } from "./index.js";

const logitsOf = (...probabilities: readonly number[]): Float32Array =>
  Float32Array.from(probabilities, Math.log);

/** Share of each token among many draws. */
function shares(logits: Float32Array, options: sampleToken.Options, draws = 20_000): readonly number[] {
  const random = createRandom(5);
  const counts = Array.from(logits, () => 0);
  for (let i = 0; i < draws; i++) counts[sampleToken(logits, options, random)]!++;
  return counts.map((count) => count / draws);
}

/** Largest difference of two distributions. 20 000 draws have a standard deviation of at most 0.0035. */
const distance = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((share, id) => Math.abs(share - b[id]!)));
const STATISTICAL = 0.015;

describe("sampleToken", () => {
  it("draws in proportion to the probabilities", () => {
    const found = shares(logitsOf(0.5, 0.3, 0.15, 0.05), {});
    expect(distance(found, [0.5, 0.3, 0.15, 0.05])).toBeLessThan(STATISTICAL);
  });

  it("sharpens and flattens by temperature", () => {
    // Probabilities to the power of 1/temperature, normalised: 4:1 becomes 16:1, and 2:1.
    expect(distance(shares(logitsOf(0.8, 0.2), { temperature: 0.5 }), [16 / 17, 1 / 17])).toBeLessThan(
      STATISTICAL,
    );
    expect(distance(shares(logitsOf(0.8, 0.2), { temperature: 2 }), [2 / 3, 1 / 3])).toBeLessThan(
      STATISTICAL,
    );
  });

  it("cuts to the most likely tokens", () => {
    const found = shares(logitsOf(0.1, 0.5, 0.15, 0.25), { topK: 2 });
    expect(distance(found, [0, 2 / 3, 0, 1 / 3])).toBeLessThan(STATISTICAL);
    expect([found[0], found[2]]).toEqual([0, 0]);
  });

  it("cuts to a nucleus, its last token included", () => {
    const logits = logitsOf(0.1, 0.5, 0.15, 0.25);
    expect(distance(shares(logits, { topP: 0.6 }), [0, 2 / 3, 0, 1 / 3])).toBeLessThan(STATISTICAL);
    expect(distance(shares(logits, { topP: 0.8 }), [0, 5 / 9, 1.5 / 9, 2.5 / 9])).toBeLessThan(STATISTICAL);
    expect(shares(logits, { topP: 0.01 }, 100)).toEqual([0, 1, 0, 0]);
  });

  it("measures the nucleus on what topK has left", () => {
    // Of 0.4, 0.3, 0.3 two are left, 4/7 and 3/7: the first alone reaches a half.
    expect(shares(logitsOf(0.3, 0.4, 0.3), { topK: 2, topP: 0.5 }, 100)).toEqual([0, 1, 0]);
  });

  it("keeps exactly topK of equally likely tokens, those of lower ids", () => {
    const found = shares(new Float32Array(6), { topK: 2 });
    expect(distance(found, [0.5, 0.5, 0, 0, 0, 0])).toBeLessThan(STATISTICAL);
    expect(found.slice(2)).toEqual([0, 0, 0, 0]);
  });

  it("never draws a token of minus infinity, and bears logits that would overflow", () => {
    expect(shares(Float32Array.of(Number.NEGATIVE_INFINITY, 3e4, -3e4), { temperature: 1e-6 }, 100)).toEqual([
      0, 1, 0,
    ]);
    expect(shares(Float32Array.of(Number.NEGATIVE_INFINITY, 7), { temperature: 1e6, topK: 2 }, 100)).toEqual([
      0, 1,
    ]);
  });

  it("draws one of the topK most likely tokens, whatever the logits", () => {
    // Quarters: different enough for different probabilities, alike enough for ties.
    const quarters = fc.array(fc.integer({ min: -400, max: 400 }), { minLength: 1, maxLength: 50 });
    const logits = quarters.map((values) => Float32Array.from(values, (value) => value / 4));
    const options = fc.record({
      topK: fc.integer({ min: 1, max: 60 }),
      topP: fc.double({ min: 1e-9, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(logits, options, fc.integer(), (values, { topK, topP }, seed) => {
        const token = sampleToken(values, { temperature: 0.7, topK, topP }, createRandom(seed));
        const above = values.filter((logit) => logit > values[token]!).length;
        expect(above).toBeLessThan(topK);
      }),
    );
  });

  it("draws the very tokens that sorting the whole vocabulary gives", () => {
    const logits = fc
      .array(fc.integer({ min: -80, max: 40 }), { minLength: 1, maxLength: 60 })
      .map((values) => Float32Array.from(values, (value) => value / 8));
    const options = fc.record({
      topK: fc.integer({ min: 1, max: 70 }),
      topP: fc.double({ min: 1e-9, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(logits, options, fc.integer(), (values, cut, seed) => {
        const drawn = sampleToken(values, { temperature: 0.8, ...cut }, createRandom(seed));
        expect(drawn).toBe(drawSorted(values, { temperature: 0.8, ...cut }, createRandom(seed)()));
      }),
    );
  });

  it.each([
    { temperature: -1 },
    { temperature: Number.NaN },
    { topK: 0 },
    { topK: 1.5 },
    { topP: 0 },
    { topP: 1.1 },
  ])("refuses %j", (options) => {
    const attempt = () => sampleToken(logitsOf(0.5, 0.5), options, createRandom(0));
    expect(attempt).toThrow(expect.objectContaining({ code: "invalid-argument" }));
  });
});

/** The same by the book: ids in descending order of probability, cut twice, and drawn in the order of ids. */
function drawSorted(
  logits: Float32Array,
  { temperature, topK, topP }: { readonly temperature: number; readonly topK: number; readonly topP: number },
  position: number,
): number {
  const weights = [...logits].map((logit) => Math.exp((logit - Math.max(...logits)) / temperature));
  const ids = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b).slice(0, topK);
  const total = ids.reduce((sum, id) => sum + weights[id]!, 0);
  let reached = 0;
  const kept = ids.filter((id) => {
    const wanted = topP === 1 || reached < topP * total;
    reached += weights[id]!;
    return wanted;
  });
  return drawFrom(
    kept.sort((a, b) => a - b),
    weights,
    position,
  );
}

function drawFrom(ids: readonly number[], weights: readonly number[], position: number): number {
  let left = position * ids.reduce((sum, id) => sum + weights[id]!, 0);
  for (const id of ids) {
    left -= weights[id]!;
    if (left < 0) return id;
  }
  return ids.at(-1)!;
}

describe("argmax", () => {
  it("takes the largest, and the first of equals", () => {
    expect(argmax(Float32Array.of(1, 3, 2, 3))).toBe(1);
    expect(argmax(Float32Array.of(Number.NEGATIVE_INFINITY, -4))).toBe(1);
  });

  it.each([
    [[Number.NaN, 1]],
    [[1, Number.NaN]],
    [[Number.POSITIVE_INFINITY, 1]],
    [[Number.NEGATIVE_INFINITY]],
    [[]],
  ])("refuses %j", (logits) => {
    const attempt = () => argmax(Float32Array.from(logits));
    expect(attempt).toThrow(expect.objectContaining({ code: "invalid-logits" }));
  });
});
