import { RuntimeError, Tensor } from "@kvfold/runtime";
import * as ort from "onnxruntime-web";
import { describe, expect, it, vi } from "vitest";
import { buildLinearModel, WEIGHTS_FILE } from "../../runtime-node/test/linear-model.js";
import { webProvider } from "./index.js";

// In Node, the package onnxruntime-web runs the same WebAssembly as in a browser, on one thread.
const { bytes, weights } = buildLinearModel();
const source = { bytes, externalData: [{ path: WEIGHTS_FILE, data: weights }] };
const provider = webProvider(ort);
const x = new Tensor("float32", Float32Array.of(1, 0, 0, 1, 1, 1), [2, 3]);
/** `x W` by hand. */
const products = [1, 2, 9, 12];

describe("webProvider", () => {
  it("runs a model from bytes with external data, and says what it declares", async () => {
    const session = await provider.createSession(source);
    expect(session.inputs).toEqual([{ name: "x", type: "float32", shape: ["rows", 3] }]);
    expect(session.outputs).toEqual([{ name: "y", type: "float32", shape: ["rows", 2] }]);
    const { y } = await session.run({ x });
    expect([...(y!.data as Float32Array)]).toEqual(products);
    await session.dispose();
  });

  it("does not write into given tensors, says so, and returns the results all the same", async () => {
    const session = await provider.createSession(source);
    expect(session.writesInPlace).toBe(false);
    for (const given of [
      new Tensor(new Float32Array(4), [2, 2]),
      new ort.Tensor(new Float32Array(4), [2, 2]),
    ]) {
      const { y } = await session.run({ x }, { y: given });
      expect([...(y!.data as Float32Array)]).toEqual(products);
      expect([...(given.data as Float32Array)]).toEqual([0, 0, 0, 0]);
    }
    await session.dispose();
  });

  it("explains a run that ONNX Runtime refuses, and one after dispose", async () => {
    const session = await provider.createSession(source);
    await expect(session.run({})).rejects.toMatchObject({ code: "run-failed" });
    await expect(session.run({ x }, ["z"])).rejects.toThrow(/invalid output name: z/);
    await session.dispose();
    await session.dispose();
    await expect(session.run({ x })).rejects.toMatchObject({ code: "disposed" });
  });

  it("explains a model that is empty or refused", async () => {
    const attempt = (failing: typeof source | { bytes: Uint8Array } | { path: string }) =>
      provider.createSession(failing).catch((error: unknown) => RuntimeError.isInstance(error) && error.code);
    expect(await attempt({ bytes: new Uint8Array() })).toBe("model-unreadable");
    expect(await attempt({ path: "" })).toBe("model-unreadable");
    expect(await attempt({ bytes: Uint8Array.of(1, 2, 3) })).toBe("session-failed");
    expect(await attempt({ bytes })).toBe("session-failed");
  });

  it("hands its options to ONNX Runtime and keeps that quiet", async () => {
    const create = vi.fn<() => Promise<object>>(async () => ({ inputMetadata: [], outputMetadata: [] }));
    const fake = { InferenceSession: { create }, env: { wasm: {} } } as unknown as typeof ort;
    const options = { threads: 3, optimization: "all", prepack: false } as const;
    await webProvider(fake, { wasmPaths: "/ort/" }).createSession(source, options);
    expect(create).toHaveBeenCalledWith(bytes, {
      executionProviders: ["wasm"],
      externalData: source.externalData,
      logSeverityLevel: 4,
      graphOptimizationLevel: "all",
      extra: { session: { disable_prepacking: "1" } },
    });
    expect(fake.env.wasm).toEqual({ numThreads: 3, wasmPaths: "/ort/" });
  });

  it.each([
    ["no available backend found. ERR: [wasm] TypeError: Failed to fetch", "runtime-missing", /wasmPaths/],
    ["std::bad_alloc", "out-of-memory", /close other tabs/],
    ["Can't create a session. failed to allocate a buffer of size 9.", "out-of-memory", /too little memory/],
    ["Unsupported model IR version", "session-failed", /refused a model of \d+ bytes: Unsupported/],
  ])("tells what kind of failure it is: %s", async (message, code, text) => {
    const create = () => Promise.reject(new Error(message));
    const fake = { InferenceSession: { create }, env: { wasm: {} } } as unknown as typeof ort;
    const attempt = webProvider(fake).createSession(source);
    await expect(attempt).rejects.toThrow(text);
    await expect(attempt).rejects.toMatchObject({ code });
  });

  it("says so where there is no GPU", async () => {
    const attempt = webProvider(ort, { executionProvider: "webgpu" }).createSession(source);
    await expect(attempt).rejects.toThrow(/^expected a GPU for WebGPU, found none/);
  });

  it("runs one thing at a time, in the order of the calls", async () => {
    const [a, b] = [await provider.createSession(source), await provider.createSession(source)];
    const order: string[] = [];
    const run = async (session: typeof a, name: string) => {
      await session.run({ x });
      order.push(name);
    };
    await Promise.all([run(a, "a"), run(b, "b"), run(a, "c"), run(b, "d")]);
    expect(order).toEqual(["a", "b", "c", "d"]);
    await Promise.all([a.dispose(), b.dispose()]);
  });
});
