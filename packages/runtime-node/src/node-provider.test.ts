import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Tensor } from "@kvfold/runtime";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { buildRunningSum } from "../test/cache-model.js";
import { fakeGpu } from "../test/fake-ort.js";
import { buildLinearModel, WEIGHTS_FILE } from "../test/linear-model.js";
import { nodeProvider } from "./index.js";

const { bytes, weights } = buildLinearModel();
const externalData = [{ path: WEIGHTS_FILE, data: weights }];
const provider = nodeProvider();
const rows = new Tensor("float32", Float32Array.of(1, 0, 0, 1, 1, 1), [2, 3]);
/** `x W` by hand. */
const products = [1, 2, 9, 12];

let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kvfold-runtime-"));
  path = join(folder, "model.onnx");
  await writeFile(path, bytes);
  await writeFile(join(folder, WEIGHTS_FILE), weights);
});

afterAll(() => rm(folder, { recursive: true }));

describe("a session", () => {
  it.each([
    ["a file", () => ({ path })],
    ["bytes", () => ({ bytes, externalData })],
  ])("runs a model from %s, with its external data", async (_, source) => {
    const session = await provider.createSession(source());
    const { y } = await session.run({ x: rows });
    expect([...(y!.data as Float32Array)]).toEqual(products);
    expect(y!.dims).toEqual([2, 2]);
    await session.dispose();
  });

  it("says what the model declares, symbolic dimensions by name", async () => {
    const session = await provider.createSession({ path });
    expect(session.inputs).toEqual([{ name: "x", type: "float32", shape: ["rows", 3] }]);
    expect(session.outputs).toEqual([{ name: "y", type: "float32", shape: ["rows", 2] }]);
    await session.dispose();
  });

  it("writes into the tensor it is given, one of another copy of onnxruntime-common", async () => {
    const session = await provider.createSession({ path });
    expect(session.writesInPlace).toBe(true);
    for (const y of [
      new Tensor("float32", new Float32Array(4), [2, 2]),
      new ort.Tensor(new Float32Array(4), [2, 2]),
    ]) {
      await session.run({ x: rows }, { y });
      expect([...(y.data as Float32Array)]).toEqual(products);
    }
    expect(Tensor).not.toBe(ort.Tensor);
    await session.dispose();
  });

  it("returns the outputs asked for, by names or by a map", async () => {
    const session = await provider.createSession({ path });
    for (const fetches of [undefined, ["y"], { y: null }]) {
      const results = await session.run({ x: rows }, fetches);
      expect(Object.keys(results)).toEqual(["y"]);
    }
    await session.dispose();
  });

  it("explains a run that ONNX Runtime refuses, and goes on", async () => {
    const session = await provider.createSession({ path });
    const wide = new Tensor("float32", new Float32Array(4), [1, 4]);
    await expect(session.run({ x: wide })).rejects.toThrow(
      /model\.onnx: Got invalid dimensions for input: x/,
    );
    await expect(session.run({})).rejects.toMatchObject({ code: "run-failed" });
    await expect(session.run({ x: rows }, ["z"])).rejects.toThrow(/invalid output name: z/);
    expect([...((await session.run({ x: rows })).y!.data as Float32Array)]).toEqual(products);
    await session.dispose();
  });

  it("is disposed once, and throws when used after", async () => {
    const session = await provider.createSession({ path });
    const pending = session.run({ x: rows }).then(
      () => "done",
      () => "refused",
    );
    await session.dispose();
    await session.dispose();
    // Which of the two is ONNX Runtime's choice; what counts is that the process lives.
    expect(["done", "refused"]).toContain(await pending);
    await expect(session.run({ x: rows })).rejects.toMatchObject({ code: "disposed" });
  });
});

describe("createSession", () => {
  it("names the file that is missing, empty or a folder", async () => {
    await writeFile(join(folder, "empty.onnx"), "");
    await mkdir(join(folder, "folder.onnx"));
    const attempt = (name: string) => provider.createSession({ path: join(folder, name) });
    await expect(attempt("none.onnx")).rejects.toThrow(
      /expected a model at .*none\.onnx, found no such file/,
    );
    await expect(attempt("empty.onnx")).rejects.toThrow(/empty\.onnx, found an empty file/);
    await expect(attempt("folder.onnx")).rejects.toThrow(/folder\.onnx, found a folder/);
    await expect(provider.createSession({ bytes: new Uint8Array() })).rejects.toMatchObject({
      code: "model-unreadable",
    });
  });

  it("reports a model or external data that ONNX Runtime refuses", async () => {
    const garbage = join(folder, "garbage.onnx");
    await writeFile(garbage, "no protobuf");
    await expect(provider.createSession({ path: garbage })).rejects.toThrow(
      /ONNX Runtime refused .*garbage\.onnx/,
    );
    await expect(provider.createSession({ bytes })).rejects.toMatchObject({ code: "session-failed" });
    const short = { path: WEIGHTS_FILE, data: weights.subarray(0, 8) };
    await expect(provider.createSession({ bytes, externalData: [short] })).rejects.toThrow(
      /can not be read in full/,
    );
  });

  it("reports external data cut short beside the model", async () => {
    const cut = await mkdtemp(join(folder, "cut-"));
    await writeFile(join(cut, "model.onnx"), bytes);
    await writeFile(join(cut, WEIGHTS_FILE), weights);
    await truncate(join(cut, WEIGHTS_FILE), 20);
    const attempt = provider.createSession({ path: join(cut, "model.onnx") }, { prepack: false });
    await expect(attempt).rejects.toThrow(/can not be read in full/);
  });

  it("hands its options to ONNX Runtime and keeps that quiet", async () => {
    const create = vi.spyOn(ort.InferenceSession, "create");
    const options = { threads: 1, optimization: "basic", prepack: false, spinning: false } as const;
    const session = await nodeProvider({ ort }).createSession({ path }, options);
    expect(create).toHaveBeenCalledWith(path, {
      executionProviders: ["cpu"],
      logSeverityLevel: 4,
      intraOpNumThreads: 1,
      graphOptimizationLevel: "basic",
      extra: { session: { disable_prepacking: "1", intra_op: { allow_spinning: "0" } } },
    });
    expect([...((await session.run({ x: rows })).y!.data as Float32Array)]).toEqual(products);
    await session.dispose();
  });

  it("asks ONNX Runtime to keep all buffers of a GPU, in sessions and in memory of its own", async () => {
    const gpu = fakeGpu();
    const create = vi.spyOn(gpu.ort.InferenceSession, "create");
    const options = { ort: gpu.ort, executionProviders: ["webgpu"], gpuBuffers: "all" } as const;
    const session = await nodeProvider(options).createSession({ bytes: buildRunningSum() });
    await session.memory!.read!(session.memory!.allocate("float32", [3]));
    const given = create.mock.calls.map((call) => call[1] as unknown as ort.InferenceSession.SessionOptions);
    expect(given).toHaveLength(3);
    for (const { executionProviders } of given)
      expect(executionProviders).toEqual([{ name: "webgpu", storageBufferCacheMode: "simple" }]);
    await session.dispose();
  });

  it("takes threads from the provider where the session has none of its own", async () => {
    const create = vi.spyOn(ort.InferenceSession, "create");
    const two = nodeProvider({ ort, threads: 2 });
    await (await two.createSession({ path })).dispose();
    await (await two.createSession({ path }, { threads: 1 })).dispose();
    expect(
      create.mock.calls
        .slice(-2)
        .map(([, options]) => (options as ort.InferenceSession.SessionOptions).intraOpNumThreads),
    ).toEqual([2, 1]);
  });

  it("refuses execution providers that the package does not have, before it loads the model", async () => {
    const attempt = (...executionProviders: never[]) =>
      nodeProvider({ ort, executionProviders }).createSession({ path });
    await expect(attempt("coreml" as never)).rejects.toMatchObject({ code: "invalid-argument" });
    await expect(attempt("vulkan" as never)).rejects.toThrow(
      /executionProviders: expected some of .*cpu.*, found vulkan/,
    );
    await expect(attempt()).rejects.toThrow(/at least one of .*cpu/);
  });

  it("says how to install a missing ONNX Runtime", async () => {
    vi.doMock("onnxruntime-node", () => {
      throw new Error("Cannot find package");
    });
    const attempt = nodeProvider().createSession({ path });
    await expect(attempt).rejects.toThrow(/npm install onnxruntime-node/);
    await expect(attempt).rejects.toMatchObject({ code: "runtime-missing" });
    vi.doUnmock("onnxruntime-node");
  });
});
