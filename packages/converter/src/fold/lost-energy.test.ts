import { readConfig } from "@kvfold/decoder";
import { createMatrix } from "@kvfold/linalg";
import { describe, expect, it } from "vitest";
import { tinyBloom, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { momentsOfRows, randomRows } from "../../test/support/random-group.js";
import { planFold } from "../plan/plan-fold.js";
import { lostEnergy, meanLostEnergy } from "./lost-energy.js";

const FRACTIONS = [1 / 4, 1 / 2];

/** A Llama with heads of one pair, which turns by one radian at each position. */
const config = (kvHeads: number) => {
  const heads = { num_attention_heads: kvHeads, num_key_value_heads: kvHeads, head_dim: 2 };
  return readConfig(JSON.stringify({ ...tinyLlama, ...heads }));
};

function lost(rows: readonly (readonly number[])[], kvHeads = 1) {
  const model = config(kvHeads);
  const spans = { keySpan: 1, valueSpan: 1 };
  const plan = planFold(model, { keep: "1/2", method: "anchored", chunk: 2, ...spans });
  const matrix = createMatrix(rows.length, rows[0]!.length, Float64Array.from(rows.flat()));
  const kept = { keys: [0.5, 0.75], values: [0.25, 0.5] };
  return lostEnergy({
    config: model,
    plan,
    layer: 0,
    keysAndValues: momentsOfRows(matrix),
    fractions: FRACTIONS,
    kept,
  });
}

describe("lostEnergy", () => {
  it("is what lies outside of the top directions, after keys have turned within chunks", () => {
    // A key in one direction spreads to (1 + cos 1) / 2 and (1 - cos 1) / 2 of its energy; values stay in theirs.
    const { apart, joint, unturned } = lost([
      [5, 0, 0, 0],
      [0, 0, 0.1, 0],
    ]);
    const spread = (1 - Math.cos(1)) / 2;
    // Keys and values count half each, although keys are fifty times as large.
    expect(joint[0]).toBeCloseTo(1 / 2, 12);
    expect(joint[1]).toBeCloseTo(spread / 2, 12);
    expect(unturned![1]).toBeCloseTo(0, 12);
    expect(apart).toEqual([1 - 0.75 / 2, 1 - 1.25 / 2]);
  });

  it("is nothing at a half where values say no more than keys", () => {
    const keys = randomRows(9, 2, 3);
    const rows = Array.from({ length: keys.rows }, (_, row) => {
      const [a, b] = keys.data.subarray(2 * row, 2 * row + 2);
      return [a!, b!, 3 * a! - b!, a!];
    });
    const { joint, unturned } = lost(rows);
    expect(unturned![1]).toBeCloseTo(0, 12);
    expect(joint[1]).toBeGreaterThan(0.001);
  });

  it("counts latents of several groups by their energy", () => {
    // Four directions of the first group, one of the second: a half of each group's directions is two.
    const rows = [
      [2, 0, 0, 0, 0, 0, 0, 0],
      [0, 1, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 2, 0, 0, 0],
      [0, 0, 0, 0, 0, 1, 0, 0],
      [0, 0, 3, 0, 0, 0, 0, 0],
    ];
    const { unturned } = lost(rows, 2);
    // Keys have 4 + 1 + 9, values 4 + 1: the first group loses its ones.
    expect(unturned![1]).toBeCloseTo((1 / 14 + 1 / 5) / 2, 12);
  });

  it("loses nothing of what is silent, and turns nothing where nothing turns", () => {
    const silent = lost([[0, 0, 0, 0]]);
    expect([silent.joint, silent.unturned]).toEqual([
      [0, 0],
      [0, 0],
    ]);
    const bloom = readConfig(JSON.stringify(tinyBloom));
    const { kvHeads, headDim } = bloom.shape;
    const { unturned } = lostEnergy({
      config: bloom,
      plan: planFold(bloom, { keep: "1/2", method: "anchored" }),
      layer: 0,
      keysAndValues: momentsOfRows(randomRows(4, 2 * kvHeads * headDim, 2)),
      fractions: [],
      kept: { keys: [], values: [] },
    });
    expect(unturned).toBeNull();
  });
});

describe("meanLostEnergy", () => {
  it("counts every layer alike, those that do not turn with what they lose anyway", () => {
    const layers = [
      { apart: [0.5], joint: [0.4], unturned: [0.2] },
      { apart: [0.1], joint: [0.2], unturned: null },
    ];
    const { apart, joint, unturned } = meanLostEnergy(layers);
    expect(apart[0]).toBeCloseTo(0.3, 12);
    expect(joint[0]).toBeCloseTo(0.3, 12);
    expect(unturned![0]).toBeCloseTo(0.2, 12);
    expect(meanLostEnergy(layers.slice(1)).unturned).toBeNull();
  });
});
