import { describe, expect, it } from "vitest";
import { RopeError } from "./rope-error.js";

describe("RopeError", () => {
  it("carries its name, code and message", () => {
    const error = new RopeError("shape-mismatch", "expected more");
    expect(error).toMatchObject({ name: "RopeError", code: "shape-mismatch", message: "expected more" });
    expect(error).toBeInstanceOf(Error);
  });

  it("keeps its cause", () => {
    const cause = new Error("why");
    expect(new RopeError("malformed-config", "expected more", { cause }).cause).toBe(cause);
  });

  it("recognises errors of another copy of the package by their marker", () => {
    const foreign = Object.defineProperty(new Error("x"), Symbol.for("kvfold.rope.error"), { value: true });
    expect(RopeError.isInstance(foreign)).toBe(true);
  });

  it.each([undefined, null, "error", {}, new Error("x")])("does not recognise %s", (value) => {
    expect(RopeError.isInstance(value)).toBe(false);
  });
});
