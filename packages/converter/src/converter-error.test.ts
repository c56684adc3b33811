import { expect, it } from "vitest";
import { ConverterError } from "./converter-error.js";

it("is recognised across copies of the package, by its mark and not by its class", () => {
  const error = new ConverterError("invalid-option", "keep 2: too much", { option: "keep", cause: "test" });
  expect(error).toMatchObject({
    name: "ConverterError",
    code: "invalid-option",
    option: "keep",
    message: "keep 2: too much",
    cause: "test",
  });
  const foreign = Object.assign(new Error("x"), { [Symbol.for("kvfold.converter.error")]: true });
  expect([error, foreign].map((each) => ConverterError.isInstance(each))).toEqual([true, true]);
  expect([new Error("x"), null, "x"].map((each) => ConverterError.isInstance(each))).toEqual([
    false,
    false,
    false,
  ]);
});
