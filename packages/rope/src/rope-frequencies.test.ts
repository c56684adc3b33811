import { describe, expect, it } from "vitest";
import configs from "../testdata/configs.json" with { type: "json" };
import golden from "../testdata/hugging-face.json" with { type: "json" };
import { ropeParameters } from "./rope-config.js";
import { ropeFrequencies } from "./rope-frequencies.js";
import type { RopeParameters } from "./rope-parameters.js";

/** Same formulas in float64, other order of operations: a few roundings of 1.1e-16 amplified by exponents up to 16. */
const relativeTolerance = 1e-13;

describe("ropeFrequencies against Hugging Face's own code", () => {
  it.each(golden)("$name, length $sequenceLength", (expected) => {
    const { config, layerType } = configs.find(({ name }) => name === expected.name)!;
    const parameters = ropeParameters(config, layerType === undefined ? {} : { layerType });
    const { inverseFrequencies, attentionScaling } = ropeFrequencies(
      parameters,
      expected.sequenceLength ?? undefined,
    );
    expect(inverseFrequencies.length).toBe(parameters.rotaryDim / 2);
    expect(inverseFrequencies.length).toBe(expected.inverseFrequencies.length);
    for (const [index, frequency] of expected.inverseFrequencies.entries()) {
      const bound = relativeTolerance * frequency;
      expect(Math.abs(inverseFrequencies[index]! - frequency), `frequency ${index}`).toBeLessThanOrEqual(
        bound,
      );
    }
    expect(attentionScaling).toBeCloseTo(expected.attentionScaling, 14);
  });
});

describe("ropeFrequencies by hand", () => {
  const geometry = { headDim: 4, rotaryDim: 4, theta: 100 };

  it("default: theta^(-2j/D)", () => {
    const frequencies = ropeFrequencies({ ...geometry, ropeType: "default", scaling: {} });
    expect(frequencies.inverseFrequencies[1]).toBeCloseTo(0.1, 15);
    expect(frequencies).toMatchObject({ attentionScaling: 1 });
  });

  it("dynamic: at D = 4 and twice the length, theta grows by (2f - (f - 1))^2", () => {
    const parameters: RopeParameters = {
      ...geometry,
      ropeType: "dynamic",
      scaling: { factor: 3, originalLength: 10 },
    };
    const { inverseFrequencies } = ropeFrequencies(parameters, 20);
    expect(inverseFrequencies[1]).toBeCloseTo(1 / Math.sqrt(1600), 15);
  });

  it("dynamic: a single frequency is 1 at any length", () => {
    const scaling = { factor: 3, originalLength: 10 };
    const parameters: RopeParameters = { headDim: 2, rotaryDim: 2, theta: 100, ropeType: "dynamic", scaling };
    expect(ropeFrequencies(parameters, 1000).inverseFrequencies).toEqual(new Float64Array([1]));
  });

  it("llama3: keeps the fast, divides the slow", () => {
    const scaling = { factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalLength: 30 };
    const { inverseFrequencies } = ropeFrequencies({ ...geometry, ropeType: "llama3", scaling });
    // 30 / 2π = 4.77 turns, above 4; 0.477 turns, below 1.
    expect(inverseFrequencies[0]).toBe(1);
    expect(inverseFrequencies[1]).toBeCloseTo(0.1 / 8, 15);
  });

  it("does not disturb its parameters", () => {
    const parameters = ropeParameters({ head_dim: 8, rope_scaling: { type: "linear", factor: 2 } });
    const before = JSON.stringify(parameters);
    ropeFrequencies(parameters, 10);
    expect(JSON.stringify(parameters)).toBe(before);
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])("refuses a sequence length of %d", (length) => {
    expect(() => ropeFrequencies({ ...geometry, ropeType: "default", scaling: {} }, length)).toThrow(
      expect.objectContaining({ code: "invalid-argument" }),
    );
  });
});
