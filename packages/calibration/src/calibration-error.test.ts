import { expect, it } from "vitest";
import { CalibrationError } from "./calibration-error.js";

it("is recognised across copies of the package, by its mark and not by its class", () => {
  const error = new CalibrationError("too-few-tokens", "the text holds 3 tokens");
  expect(error).toMatchObject({ name: "CalibrationError", code: "too-few-tokens" });
  const foreign = Object.assign(new Error("x"), { [Symbol.for("kvfold.calibration.error")]: true });
  expect([error, foreign].map((each) => CalibrationError.isInstance(each))).toEqual([true, true]);
  expect([new Error("x"), null, "x"].map((each) => CalibrationError.isInstance(each))).toEqual([
    false,
    false,
    false,
  ]);
});
