import { describe, expect, it } from "vitest";
import { catchError } from "../test/catch-error.js";
import { checkFinite } from "./check-finite.js";

describe("checkFinite", () => {
  it("lets finite values pass, the largest and the smallest too", () => {
    expect(checkFinite("w", Float32Array.of(0, -3.4e38, 1e-45))).toBeUndefined();
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "names the tensor and the place of %d",
    async (value) => {
      const error = await catchError(() => checkFinite("layers.0.w", Float32Array.of(1, value, 2)));
      expect(error.code).toBe("not-finite");
      expect(error.message).toMatch(new RegExp(`tensor layers.0.w: .*found ${value} at index 1`));
    },
  );
});
