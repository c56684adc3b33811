import { CalibrationError } from "@kvfold/calibration";
import { DecoderError } from "@kvfold/decoder";
import { NumericalError } from "@kvfold/linalg";
import { OnnxError } from "@kvfold/onnx";
import { RuntimeError } from "@kvfold/runtime";
import { SafetensorsError } from "@kvfold/safetensors";
import { describe, expect, it } from "vitest";
import { ConverterError } from "../converter-error.js";
import { describeFailure, reviveFailure } from "./worker-protocol.js";

/** There and back, as between threads. */
const revived = (error: unknown): Error => reviveFailure(structuredClone(describeFailure(error)));

describe("an error between threads", () => {
  it.each([
    [ConverterError, new ConverterError("invalid-option", "keep 2: too much", { option: "keep" })],
    [DecoderError, new DecoderError("malformed-checkpoint", "no config.json")],
    [NumericalError, new NumericalError("not-finite", "NaN")],
    [CalibrationError, new CalibrationError("storage-failed", "disk full")],
    [OnnxError, new OnnxError("invalid-graph", "no such input")],
    [RuntimeError, new RuntimeError("aborted", "aborted")],
    [SafetensorsError, new SafetensorsError("truncated", "short")],
  ] as const)("is still known to its class: %o", (kind, error) => {
    const again = revived(error);
    expect(kind.isInstance(again)).toBe(true);
    expect(again).toBeInstanceOf(Error);
    expect([again.message, again.stack]).toEqual([error.message, error.stack]);
    expect(Object.entries(again)).toEqual(Object.entries(error));
  });

  it("keeps what caused it", () => {
    const disk = Object.assign(new Error("ENOSPC"), { code: "ENOSPC", errno: -28 });
    const again = revived(new ConverterError("write-failed", "could not be written", { cause: disk }));
    expect(again.cause).toMatchObject({ message: "ENOSPC", code: "ENOSPC", errno: -28 });
    expect((again.cause as Error).stack).toBe(disk.stack);
  });

  it("may be anything that was thrown, even a circle", () => {
    expect(revived("oops").message).toBe("oops");
    const circle = new Error("round");
    circle.cause = circle;
    expect(revived(circle).cause).toMatchObject({ message: "round" });
  });
});
