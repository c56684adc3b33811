import { describe, expect, it } from "vitest";
import { RuntimeError, throwIfAborted } from "./index.js";

describe("RuntimeError", () => {
  it("is recognised by its marker, also from another copy of the package", () => {
    const foreign = Object.assign(new Error("from elsewhere"), {
      [Symbol.for("kvfold.runtime.error")]: true,
    });
    expect(RuntimeError.isInstance(new RuntimeError("busy", "one at a time"))).toBe(true);
    expect(RuntimeError.isInstance(foreign)).toBe(true);
    expect(
      [new Error("busy"), undefined, null, "busy"].map((other) => RuntimeError.isInstance(other)),
    ).not.toContain(true);
  });
});

describe("throwIfAborted", () => {
  it("lets work go on without a signal, and before it fires", () => {
    expect(() => throwIfAborted(undefined)).not.toThrow();
    expect(() => throwIfAborted(new AbortController().signal)).not.toThrow();
  });

  it("passes the signal's reason on as the cause", () => {
    const attempt = () => throwIfAborted(AbortSignal.abort("enough"));
    expect(attempt).toThrow(
      expect.objectContaining({ name: "RuntimeError", code: "aborted", cause: "enough" }),
    );
  });
});
