import { readConfig } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { anchored } from "../methods/anchored.js";
import { planFold } from "./plan-fold.js";
import { planRequest, readPlanRequest } from "./plan-request.js";
import { shareWithinBytes } from "./share-within-bytes.js";

const config = readConfig(JSON.stringify(tinyLlama));

describe("planRequest", () => {
  it("keeps the options of a plan and nothing else, through JSON", () => {
    const options = { keep: "1/4", chunk: { least: 8, phase: 0.3 }, formats: ["onnx"] as const, seed: 3 };
    const request = planRequest({ ...options, output: "x" } as typeof options);
    expect(request).toEqual(options);
    const read = readPlanRequest(JSON.parse(JSON.stringify(request)));
    expect(planFold(config, read)).toEqual(planFold(config, options));
  });

  it("has nothing to say of methods of one's own", () => {
    expect(planRequest({ keep: "1/2", method: { ...anchored, name: "own" } })).toBeUndefined();
  });

  it.each<{ readonly value: unknown }>([
    { value: null },
    { value: "1/2" },
    { value: {} },
    { value: { keep: {} } },
    { value: { keep: "1/2", heal: "all" } },
    { value: { keep: "1/2", formats: [] } },
    { value: { keep: "1/2", formats: ["exe"] } },
    { value: { keep: "1/2", chunk: { least: "8" } } },
    { value: { keep: "1/2", constructor: 1 } },
  ])("refuses $value", ({ value }) => {
    expect(() => readPlanRequest(value)).toThrow(
      expect.objectContaining({ code: "invalid-option", option: "recipe" }),
    );
  });
});

describe("shareWithinBytes", () => {
  const bytesAt = (keep: string) => planFold(config, { keep }).cacheBytesPerToken.after;

  it("takes the largest share that fits", () => {
    expect(shareWithinBytes(config, {}, bytesAt("1/2"))).toBe("1/2");
    expect(bytesAt(shareWithinBytes(config, {}, bytesAt("1/2") - 1))).toBeLessThan(bytesAt("1/2"));
    expect(shareWithinBytes(config, {}, 1e9)).toBe("1");
    // Whole heads: of four, one half is what fits into three quarters less a byte.
    expect(shareWithinBytes(config, { method: "mean" }, bytesAt("1") * 0.75 - 1)).toBe("1/2");
  });

  it("refuses what no share can meet", () => {
    expect(() => shareWithinBytes(config, {}, 1)).toThrow(
      /^maxBytes: 1 bytes per token are less than the \d+/,
    );
    expect(() => shareWithinBytes(config, { method: "nonsense" }, 1)).toThrow(/method "?nonsense/);
  });
});
