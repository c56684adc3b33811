import { BLOCK_SIZE, type Linear, quantiseRows } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import { gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { groupsOfInputs, joinGroups, linearOfGroup, momentsOfGroup } from "./groups-of-inputs.js";
import { quantiseLinear } from "./quantise-linear.js";

const OUTPUTS = 3;

function randomLinear(inputs: number): Linear {
  const next = gaussians(1);
  const weight = Float32Array.from({ length: inputs * OUTPUTS }, () => next());
  return { inputs, outputs: OUTPUTS, weight, bias: new Float32Array(OUTPUTS).fill(2) };
}

describe("groupsOfInputs", () => {
  it.each([
    [100, 4096, [[0, 100]]],
    [4096, 4096, [[0, 4096]]],
    [
      200,
      96,
      [
        [0, 96],
        [96, 192],
        [192, 200],
      ],
    ],
    [
      160,
      100,
      [
        [0, 96],
        [96, 160],
      ],
    ],
  ])("splits %i inputs, at most about %i in a group, between blocks", (inputs, largest, groups) => {
    expect(groupsOfInputs(inputs, largest).map(({ start, end }) => [start, end])).toEqual(groups);
  });

  it("keeps the last MLP projection of a 7 B model near the limit", () => {
    const groups = groupsOfInputs(18_944);
    expect(groups.length).toBe(5);
    expect(Math.max(...groups.map(({ start, end }) => end - start))).toBeLessThanOrEqual(4096);
    expect(groups.every(({ start }) => start % BLOCK_SIZE === 0)).toBe(true);
  });
});

describe("joinGroups", () => {
  it("is the whole where the groups' second moments have nothing in common", async () => {
    const linear = randomLinear(72);
    const gram = new Float64Array(72 * 72);
    for (let i = 0; i < 72; i++) gram[i * 73] = 1;
    const groups = groupsOfInputs(72, 32);
    expect(groups.length).toBe(3);
    const parts = await Promise.all(
      groups.map((group) =>
        quantiseLinear(
          { linear: linearOfGroup(linear, group), gram: momentsOfGroup(gram, 72, group) },
          plainProducts,
        ),
      ),
    );
    const joined = joinGroups(linear, parts);
    const whole = await quantiseLinear({ linear, gram }, plainProducts);
    expect(joined).toEqual(whole);
  });

  it("holds the codes of each output in one row", () => {
    const linear = randomLinear(40);
    const rowsOf = ({ inputs, weight }: Linear) =>
      quantiseRows(
        Float32Array.from({ length: inputs * OUTPUTS }, (_, at) => {
          const [output, input] = [Math.floor(at / inputs), at % inputs];
          return weight[input * OUTPUTS + output]!;
        }),
        OUTPUTS,
        inputs,
      );
    const parts = groupsOfInputs(40, 32)
      .map((group) => linearOfGroup(linear, group))
      .map((part) => ({ ...part, fourBit: rowsOf(part) }));
    expect(joinGroups(linear, parts).fourBit).toEqual(rowsOf(linear));
  });
});

describe("a group of all inputs", () => {
  it("is rounded without copies of weights and codes", () => {
    const linear = randomLinear(40);
    const [group] = groupsOfInputs(40);
    const part = linearOfGroup(linear, group!);
    expect(part.weight).toBe(linear.weight);
    const fourBit = { blocks: 2, codes: new Uint8Array(96), scales: new Float32Array(6) };
    const rounded = { ...part, weight: new Float32Array(120), fourBit };
    const joined = joinGroups(linear, [rounded]);
    expect(joined).toEqual({ ...linear, weight: rounded.weight, fourBit });
    expect(joined.weight).toBe(rounded.weight);
    expect(joined.fourBit).toBe(fourBit);
  });
});

describe("momentsOfGroup", () => {
  it("leaves out what lies behind the last group", () => {
    const gram = Float64Array.from({ length: 9 }, (_, at) => at);
    expect([...momentsOfGroup(gram, 3, { start: 0, end: 2 })]).toEqual([0, 1, 3, 4]);
  });
});
