import { afterEach, expect, it, vi } from "vitest";
import { defaultProvider } from "./default-provider.js";

afterEach(() => {
  vi.doUnmock("@kvfold/runtime-node");
  vi.resetModules();
});

it("is ONNX Runtime for Node", async () => {
  expect(await defaultProvider()).toHaveProperty("createSession");
});

it("says what to install where that is missing", async () => {
  vi.doMock("@kvfold/runtime-node", () => {
    throw new Error("Cannot find package '@kvfold/runtime-node'");
  });
  await expect(defaultProvider()).rejects.toThrow(
    expect.objectContaining({
      code: "invalid-option",
      option: "provider",
      message: expect.stringMatching(
        /^provider: none was given, .*; npm install @kvfold\/runtime-node onnxruntime-node$/s,
      ),
    }),
  );
});
