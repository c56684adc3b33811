import { describe, expect, it } from "vitest";
import { distance } from "../../test/near.js";
import { attentionRows } from "./attention-rows.js";
import { expectedAttentionScores } from "./expected-attention.js";

const rows = (...vectors: number[][]) => ({
  data: Float32Array.from(vectors.flat()),
  heads: 1,
  rows: vectors.length,
  width: vectors[0]!.length,
});

describe("expectedAttentionScores", () => {
  const keys = rows([7, 7], [Math.log(2), 0], [0, Math.sqrt(Math.log(2))], [0, 0]);
  const values = rows([1, 0], [1, 0], [0, 2], [3, 4]);
  const moments = {
    mean: Float64Array.of(1, 0),
    covariance: Float64Array.of(0, 0, 0, 2),
    heads: 1,
    width: 2,
  };

  it("weighs means and spread of the queries, and the length of values", () => {
    // Exponents log 2, log 2 and 0: weights .4 .4 .2, times norms 1, 2 and 5. The sink is lifted.
    const scores = expectedAttentionScores({ keys, values, moments, sinks: 1, scale: 1 });
    expect(distance(scores, [2, 0.4, 0.8, 1])).toBeLessThan(1e-6);
  });

  it("adds epsilon to the weights", () => {
    const scores = expectedAttentionScores({ keys, values, moments, sinks: 1, scale: 1, epsilon: 0.1 });
    expect(distance(scores, [2.5, 0.5, 1, 1.5])).toBeLessThan(1e-6);
  });

  it("averages the weights of a group", () => {
    const two = {
      mean: Float64Array.of(1, 0, 0, 0),
      covariance: Float64Array.of(0, 0, 0, 2, 0, 0, 0, 0),
      heads: 2,
      width: 2,
    };
    // The second head's queries are zero: a third for each token.
    const third = 1 / 3;
    const scores = expectedAttentionScores({ keys, values, moments: two, sinks: 1, scale: 1 });
    expect(distance(scores.subarray(1), [(0.4 + third) / 2, 0.4 + third, 2.5 * (0.2 + third)])).toBeLessThan(
      1e-6,
    );
  });

  it("is the attention of the mean query where queries do not spread", () => {
    const still = { ...moments, mean: Float64Array.of(0.3, -0.8), covariance: new Float64Array(4) };
    const scores = expectedAttentionScores({
      keys,
      values: rows([1], [1], [1], [1]),
      moments: still,
      sinks: 0,
    });
    const query = rows([0.3, -0.8]);
    attentionRows({ keys, queries: query }).visit((row) =>
      expect(distance(scores, Array.from(row))).toBeLessThan(1e-6),
    );
  });

  it("counts both halves of a covariance", () => {
    const tilted = { ...moments, mean: new Float64Array(2), covariance: Float64Array.of(1, 0.5, 0.5, 2) };
    const one = rows([1, 2], [0, 0]);
    const scores = expectedAttentionScores({
      keys: one,
      values: rows([1], [1]),
      moments: tilted,
      sinks: 0,
      scale: 1,
    });
    // (1 + 2 * 0.5 * 2 + 2 * 4) / 2 = 5.5
    expect(distance(scores, [1 / (1 + Math.exp(-5.5)), 1 / (1 + Math.exp(5.5))])).toBeLessThan(1e-6);
  });

  it.each([3, 4, 9])("weighs keys of %i numbers by the whole form", (width) => {
    const wave = (count: number) => Float64Array.from({ length: count }, (_, at) => Math.sin(at * at + 1));
    const wide = { mean: wave(width), covariance: new Float64Array(width * width), heads: 1, width };
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++) wide.covariance[i * width + j] = Math.cos(i * j) + (i === j ? 2 : 0);
    const data = Float32Array.from(wave(5 * width));
    const scores = expectedAttentionScores({
      keys: { data, heads: 1, rows: 5, width },
      values: rows([1], [1], [1], [1], [1]),
      moments: wide,
      sinks: 0,
      scale: 1,
    });
    const weights = Array.from({ length: 5 }, (_, token) => {
      const key = Array.from(data.subarray(token * width, (token + 1) * width));
      const form = key.reduce(
        (sum, a, i) => sum + key.reduce((row, b, j) => row + a * b * wide.covariance[i * width + j]!, 0),
        0,
      );
      return Math.exp(key.reduce((sum, value, j) => sum + value * wide.mean[j]!, form / 2));
    });
    const total = weights.reduce((sum, weight) => sum + weight);
    expect(
      distance(
        scores,
        weights.map((weight) => weight / total),
      ),
    ).toBeLessThan(1e-6);
  });

  it("refuses a text of sinks alone", () => {
    expect(() => expectedAttentionScores({ keys, values, moments })).toThrow(
      "expectedAttentionScores: expected more tokens than the 4 sinks, found 4",
    );
  });
});
