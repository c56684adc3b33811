import { type RopeParameters, ropeParameters } from "@kvfold/rope";
import { describe, expect, it } from "vitest";
import { chunksOfPairs } from "./chunks-of-pairs.js";

const readRope = (fields: object): RopeParameters => ropeParameters({ head_dim: 8, ...fields });
/** Frequencies 1, 0.1, 0.01 and 0.001. */
const rope = readRope({ rope_theta: 10_000 });
const chunksOf = (chunk: Parameters<typeof chunksOfPairs>[1]["chunk"], maxPositions = 4096) =>
  chunksOfPairs({ rope, headNorm: undefined }, { chunk, maxPositions });

describe("chunksOfPairs", () => {
  it("gives all pairs a number that is given, 1 for keys that are expanded", () => {
    expect(chunksOf(16)).toEqual([16, 16, 16, 16]);
    expect(chunksOf(1)).toEqual([1, 1, 1, 1]);
  });

  it("gives slow pairs the largest runs to be read in that they turn less than the phase in", () => {
    expect(chunksOf({ least: 8, phase: 0.8 })).toEqual([8, 8, 32, 32]);
    expect(chunksOf({ least: 16, phase: 0.8 })).toEqual([16, 16, 64, 64]);
    expect(chunksOf({ least: 1, phase: 1.6 })).toEqual([1, 16, 64, 64]);
  });

  it("gives no chunk more slots than the context needs", () => {
    expect(chunksOf({ least: 8, phase: 0.8 }, 16)).toEqual([8, 8, 16, 16]);
    expect(chunksOf(16, 8)).toEqual([8, 8, 8, 8]);
  });

  it("gives a pair that never turns the largest runs", () => {
    const proportional = readRope({
      rope_parameters: { rope_type: "proportional", rope_theta: 10_000, partial_rotary_factor: 0.5 },
    });
    const rule = { chunk: { least: 8, phase: 0.8 }, maxPositions: 100 };
    expect(chunksOfPairs({ rope: proportional, headNorm: undefined }, rule).slice(-2)).toEqual([32, 32]);
  });

  it("gives none where nothing turns", () => {
    expect(chunksOfPairs({ rope: undefined, headNorm: undefined }, { chunk: 8, maxPositions: 64 })).toEqual(
      [],
    );
  });

  it.each([
    ["a norm follows the rotation", rope, "after-rotation" as const],
    [
      "frequencies depend on the length",
      readRope({ rope_scaling: { rope_type: "dynamic", factor: 2 }, max_position_embeddings: 64 }),
      undefined,
    ],
  ])("expands keys where %s", (_, turned, headNorm) => {
    expect(chunksOfPairs({ rope: turned, headNorm }, { chunk: 8, maxPositions: 64 })).toEqual([1, 1, 1, 1]);
  });
});
