import { expect, it } from "vitest";
import { PolicyError } from "./policy-error.js";
import { keptCount } from "./scores/kept.js";

it("is known by its mark", () => {
  const attempt = () => {
    try {
      return keptCount(1, 2);
    } catch (error) {
      return PolicyError.isInstance(error) ? error.code : error;
    }
  };
  expect(attempt()).toBe("invalid-argument");
  expect(PolicyError.isInstance(new Error("invalid-argument"))).toBe(false);
});
