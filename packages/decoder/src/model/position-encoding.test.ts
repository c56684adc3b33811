import { describe, expect, it } from "vitest";
import { tinyBloom, tinyLlama } from "../../test/reference/synthetic-checkpoint.js";
import { readConfig } from "../checkpoint/read-config.js";
import { positionEncoding } from "./position-encoding.js";

const read = (config: Readonly<Record<string, unknown>>) => readConfig(JSON.stringify(config));

describe("positionEncoding", () => {
  it("gives Llama rotation tables [length, d / 2]", () => {
    const { rope, alibiSlopes } = positionEncoding(read(tinyLlama), 10);
    expect(alibiSlopes).toBeUndefined();
    expect(rope).toMatchObject({ length: 10, width: 8 });
    expect(rope!.cos).toHaveLength(80);
    // Position 3, frequency 1: 10000^(-2/16).
    expect(rope!.cos[3 * 8 + 1]).toBeCloseTo(Math.cos(3 * 10_000 ** (-1 / 8)), 6);
    expect(rope!.sin[3 * 8 + 1]).toBeCloseTo(Math.sin(3 * 10_000 ** (-1 / 8)), 6);
  });

  it("takes the head size that the shape says, whether the config names it or not", () => {
    const { rope } = positionEncoding(read({ ...tinyLlama, head_dim: undefined }), 2);
    expect(rope).toMatchObject({ width: 4 });
  });

  it("gives BLOOM slopes and no tables", () => {
    const { rope, alibiSlopes } = positionEncoding(read(tinyBloom), 10);
    expect(rope).toBeUndefined();
    expect(alibiSlopes).toHaveLength(6);
  });
});
