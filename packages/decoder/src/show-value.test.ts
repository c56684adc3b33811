import { describe, expect, it } from "vitest";
import { listNames, showValue } from "./show-value.js";

describe("showValue", () => {
  it.each([
    [undefined, "nothing"],
    [null, "null"],
    ["16", '"16"'],
    [0.5, "0.5"],
    [[1, [2]], "a list of 2"],
    [{ a: 1 }, "an object"],
    ["x".repeat(1000), `"${"x".repeat(79)}…`],
  ])("shows %j", (value, shown) => {
    expect(showValue(value)).toBe(shown);
  });

  it("shows what is nested too deeply to be printed", () => {
    expect(showValue(JSON.parse("[".repeat(20_000) + "]".repeat(20_000)))).toBe("a list of 1");
  });
});

describe("listNames", () => {
  it("counts what it leaves out, and cuts long names", () => {
    expect(listNames(["a", "b", "c"], 2)).toBe("a, b and 1 more");
    expect(listNames(["a".repeat(1000)], 2)).toBe(`${"a".repeat(80)}…`);
  });
});
