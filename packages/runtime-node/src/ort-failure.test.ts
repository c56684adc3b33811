import { expect, it } from "vitest";
import { ortFailure } from "./ort-failure.js";

it.each([
  ["Failed to allocate memory for requested buffer of size 8", "out-of-memory", /shorter context/],
  ["webgpu_context.cc:1 Run The device is lost", "device-lost", /load the model again/],
  [
    "shader_helper.cc:416 Generate Program Add requires f16 but the device does not support it.",
    "run-failed",
    /does not compute with float16/,
  ],
  ["Got invalid dimensions for input: x", "run-failed", /: Got invalid dimensions for input: x$/],
] as const)("says of %j what it is, and what to do", (message, code, text) => {
  const failure = ortFailure("run-failed", "run: ONNX Runtime failed on m.onnx", new Error(message));
  expect(failure.code).toBe(code);
  expect(failure.message).toMatch(text);
});
