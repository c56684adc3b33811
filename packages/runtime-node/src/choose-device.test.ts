import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { chooseDevice } from "./choose-device.js";
import type { OrtNode } from "./ort-node.js";

/** ONNX Runtime with these providers, of which some work: on the CPU, unseen. */
function fakeOrt(working: readonly string[], failure = "no adapter"): OrtNode {
  const create = (bytes: Uint8Array, options: ort.InferenceSession.SessionOptions) => {
    const [name] = options.executionProviders as readonly string[];
    if (!working.includes(name!)) throw new Error(failure);
    return ort.InferenceSession.create(bytes, { ...options, executionProviders: ["cpu"] });
  };
  const names = ["cpu", "cuda", "webgpu", "tensorrt"];
  return {
    Tensor: ort.Tensor,
    InferenceSession: { create } as never,
    listSupportedBackends: () => names.map((name) => ({ name, bundled: true })),
  };
}

describe("chooseDevice", () => {
  it.each([
    [["cuda", "webgpu"], "webgpu"],
    [["cuda"], "cuda"],
    [[], "cpu"],
  ])("takes the first GPU that works: of %j %s", async (working, device) => {
    const choice = await chooseDevice("auto", { ort: fakeOrt(working) });
    expect(choice.device).toBe(device);
    expect(choice.reason).toMatch(new RegExp(`^${device}, `));
  });

  it("takes the one that is asked for, if it works", async () => {
    expect((await chooseDevice("cuda", { ort: fakeOrt(["cuda", "webgpu"]) })).device).toBe("cuda");
    expect((await chooseDevice("webgpu", { ort: fakeOrt(["webgpu"]), type: "float16" })).device).toBe(
      "webgpu",
    );
    await expect(chooseDevice("webgpu", { ort: fakeOrt([]) })).rejects.toThrow(
      /^device: webgpu does not run float32 graphs here \(no adapter\); onnxruntime-node has webgpu, cuda, cpu: /,
    );
  });

  it("names what there is, where the package lacks the device", async () => {
    const attempt = chooseDevice("coreml", { ort: fakeOrt([]) });
    await expect(attempt).rejects.toThrow("device: expected one of webgpu, cuda, cpu");
    await expect(attempt).rejects.toMatchObject({ code: "invalid-argument" });
  });
});
