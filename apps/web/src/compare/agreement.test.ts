import { describe, expect, it } from "vitest";
import { agreementOf } from "./agreement.js";

describe("agreementOf", () => {
  it("counts the common beginning and all equal positions", () => {
    expect(agreementOf([1, 2, 3, 4], [1, 2, 9, 4])).toEqual({ prefix: 2, share: 0.75, compared: 4 });
  });

  it("compares as far as both go", () => {
    expect(agreementOf([1, 2, 3], [1, 2])).toEqual({ prefix: 2, share: 1, compared: 2 });
    expect(agreementOf([], [1])).toEqual({ prefix: 0, share: 1, compared: 0 });
  });
});
