import { readConfig } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { fitContext } from "./fit-context.js";

/** Two layers, 4 KV heads of 16. */
const config = readConfig(JSON.stringify(tinyLlama));

const rowOf = (limit: fitContext.Options["limit"], keep: string, dtype: "fp32" | "fp16", cacheType: string) =>
  fitContext(config, { limit, keeps: [keep], dtypes: [dtype] }).find((row) => row.cacheType === cacheType)!;

describe("fitContext", () => {
  it("counts weights and the cache of a context", () => {
    // 2 layers x 2 sides x 4 heads of 16.
    const numbers = 2 * 2 * 4 * 16;
    const whole = rowOf({ context: 1000 }, "1", "fp32", "float32");
    expect(whole).toMatchObject({ keep: "1", achieved: 1, tokens: 1000, cacheBytesPerToken: 4 * numbers });
    expect(whole.bytes).toBe(whole.weightBytes + 1000 * 4 * numbers);
    expect(rowOf({ context: 1 }, "1", "fp16", "float16").cacheBytesPerToken).toBe(2 * numbers);
    // One scale for each of 2 x 2 x 4 heads.
    expect(rowOf({ context: 1 }, "1", "fp32", "int8").cacheBytesPerToken).toBe(numbers + 2 * 16);
    // The default method has one latent for all heads of a layer: 64 numbers and a scale.
    expect(rowOf({ context: 1 }, "1/2", "fp32", "int8").cacheBytesPerToken).toBe(2 * (64 + 2));
  });

  it("finds the longest context that fits, to the token", () => {
    const { weightBytes, cacheBytesPerToken } = rowOf({ context: 1 }, "1/4", "fp32", "float32");
    const memory = weightBytes + 10 * cacheBytesPerToken;
    expect(rowOf({ memory }, "1/4", "fp32", "float32")).toMatchObject({ tokens: 10, bytes: memory });
    expect(rowOf({ memory: memory - 1 }, "1/4", "fp32", "float32").tokens).toBe(9);
    expect(rowOf({ memory: weightBytes - 1 }, "1/4", "fp32", "float32").tokens).toBe(0);
  });

  it("has all shares, with int8 beside each type of weights", () => {
    const rows = fitContext(config, { limit: { memory: 2 ** 20 } });
    expect(rows).toHaveLength(4 * 3 * 2);
    expect([...new Set(rows.map(({ keep }) => keep))]).toEqual(["1", "1/2", "1/4", "1/8"]);
  });

  it("folds nothing where everything is kept, however that is written", () => {
    const rowsOf = (keep: string) =>
      fitContext(config, { limit: { context: 1 }, keeps: [keep], method: "anchored" });
    expect(rowsOf("2/2")).toEqual(rowsOf("1"));
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuses memory of %d", (memory) => {
    expect(() => fitContext(config, { limit: { memory } })).toThrow(
      expect.objectContaining({ code: "invalid-option", option: "memory" }),
    );
  });
});
