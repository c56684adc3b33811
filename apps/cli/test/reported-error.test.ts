import { ConverterError } from "@kvfold/converter";
import { describe, expect, it } from "vitest";
import { reportError } from "../src/reported-error.js";

describe("reportError", () => {
  it.each([
    ["keep", "keep 2: expected 1 or less", "--keep 2: expected 1 or less"],
    ["keySpan", "keySpan 3: does not divide 8", "--key-span 3: does not divide 8"],
    ["formats", "formats hf: method latent cannot", "--format hf: method latent cannot"],
    ["maxPositions", "the context is 1024", "--max-positions: the context is 1024"],
    ["budget", "use --budget uniform", "use --budget uniform"],
  ])("says option %s as it is typed", (option, message, expected) => {
    const error = new ConverterError("invalid-option", message, { option });
    expect(reportError(error)).toMatchObject({ code: "invalid-option", message: expected, expected: true });
  });

  it("shows where the causes come from", () => {
    const cause = new Error("ENOSPC");
    const { stack } = reportError(new ConverterError("write-failed", "x could not be written", { cause }));
    expect(stack).toMatch(/x could not be written.*\nCaused by: Error: ENOSPC\n.*reported-error\.test/s);
    cause.cause = cause;
    expect(reportError(cause).stack!.match(/Caused by/g)).toHaveLength(8);
  });

  it("leaves messages without an option alone", () => {
    const error = new ConverterError("write-failed", "keep: no space");
    expect(reportError(error).message).toBe("keep: no space");
  });
});
