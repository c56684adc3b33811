import { readConfig } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { tinyLlama } from "../../../packages/decoder/test/reference/synthetic-checkpoint.js";
import { foldChoices } from "../src/goals/candidates.js";

const config = readConfig(JSON.stringify(tinyLlama));
const namesOf = (options: Parameters<typeof foldChoices>[1]) =>
  foldChoices(config, options).map(({ method, budget }) => `${method as string} ${budget as string}`);

describe("foldChoices", () => {
  it("has the ways to fold that the formats can hold", () => {
    expect(namesOf({})).toEqual(["anchored power", "anchored uniform", "latent uniform"]);
    expect(namesOf({ formats: ["onnx", "gguf"] })).toEqual(["commuting uniform"]);
  });

  it("leaves what is given as it is", () => {
    expect(namesOf({ method: "anchored" })).toEqual(["anchored power", "anchored uniform"]);
    expect(namesOf({ budget: "uniform" })).toEqual(["anchored uniform", "latent uniform"]);
    expect(namesOf({ method: "svd-a", budget: "uniform" })).toEqual(["svd-a uniform"]);
  });

  it("leaves out what other options rule out, and budgets that a method has no use for", () => {
    // No latent has chunks, and none but anchored compares its layers.
    expect(namesOf({ chunk: 8 })).toEqual(["anchored power", "anchored uniform"]);
    expect(namesOf({ budget: "power" })).toEqual(["anchored power"]);
  });

  it("says why there is none", () => {
    expect(() => namesOf({ chunk: 3 })).toThrow(/^chunk 3: expected slots of a power of two/);
  });
});
