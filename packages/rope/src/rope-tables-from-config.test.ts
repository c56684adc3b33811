import { describe, expect, it } from "vitest";
import { ropeParameters } from "./rope-config.js";
import { RopeError } from "./rope-error.js";
import { ropeFrequencies } from "./rope-frequencies.js";
import { ropeTables } from "./rope-tables.js";
import { ropeTablesFromConfig } from "./rope-tables-from-config.js";

const longrope = {
  head_dim: 4,
  max_position_embeddings: 16,
  original_max_position_embeddings: 8,
  rope_scaling: { type: "longrope", short_factor: [1, 1], long_factor: [2, 4] },
};

describe("ropeTablesFromConfig", () => {
  it.each([8, 9])(
    "takes the frequencies of the length, here %d, on either side of longrope's original",
    (length) => {
      const frequencies = ropeFrequencies(ropeParameters(longrope), length);
      expect(ropeTablesFromConfig(longrope, { length, dtype: "float64" })).toEqual(
        ropeTables({ ...frequencies, length, dtype: "float64" }),
      );
    },
  );

  it("passes on the type of layer, and float32 by default", () => {
    const config = {
      head_dim: 4,
      rope_parameters: { full_attention: { rope_theta: 1e6 }, sliding_attention: { rope_theta: 1e4 } },
    };
    const tables = ropeTablesFromConfig(config, { length: 2, layerType: "sliding_attention" });
    expect(tables.cos).toEqual(Float32Array.of(1, 1, Math.cos(1), Math.cos(0.01)));
    expect(() => ropeTablesFromConfig(config, { length: 2 })).toThrow(RopeError);
    expect(() => ropeTablesFromConfig({ head_dim: 4 }, { length: -1 })).toThrow(RopeError);
  });
});
