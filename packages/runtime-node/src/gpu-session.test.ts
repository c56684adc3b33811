import { type Session, Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { buildGrowingCache, buildRunningSum } from "../test/cache-model.js";
import { fakeGpu } from "../test/fake-ort.js";
import { nodeProvider } from "./index.js";

const tensor = (values: readonly number[], dims: readonly number[]): Tensor =>
  new Tensor("float32", Float32Array.from(values), dims);

async function open(bytes: Uint8Array) {
  const gpu = fakeGpu();
  const provider = nodeProvider({ ort: gpu.ort, executionProviders: ["webgpu"] });
  return { gpu, session: await provider.createSession({ bytes }) };
}

const memoryOf = ({ memory }: Session) => memory as Required<NonNullable<Session["memory"]>>;

describe("a session on a GPU", () => {
  it("writes into memory of the GPU, and reads it back when asked to", async () => {
    const { gpu, session } = await open(buildRunningSum());
    expect(session.writesInPlace).toBe(true);
    const memory = memoryOf(session);
    let [before, total] = [memory.allocate("float32", [3]), memory.allocate("float32", [3])];
    for (const x of [1, 2, 3]) {
      await session.run({ x: tensor([x, 10 * x, 0], [3]), before }, { total });
      [before, total] = [total, before];
    }
    expect([...(await memory.read(before))]).toEqual([6, 60, 0]);
    before.dispose();
    await memory.read(total);
    expect(gpu.held.size).toBe(1);
    await session.dispose();
    expect([gpu.held.size, gpu.sessions]).toEqual([0, 0]);
  });

  it("leaves a growing cache there, and gives back the outputs that were asked for", async () => {
    const { gpu, session } = await open(buildGrowingCache());
    expect(session.writesInPlace).toBe(false);
    let past = tensor([], [1, 1, 0, 2]);
    for (const x of [1, 2, 3]) {
      const feeds = { x: tensor([x, x], [1, 1, 1, 2]), "past_key_values.0.key": past };
      const results = await session.run(feeds, { "present.0.key": null });
      expect(Object.keys(results)).toEqual(["present.0.key"]);
      if (x > 1) past.dispose();
      past = results["present.0.key"]!;
      expect([past.location, past.dims]).toEqual(["gpu-buffer", [1, 1, x, 2]]);
    }
    const memory = memoryOf(session);
    const longer = memory.allocate("float32", [1, 1, 4, 2]);
    memory.copyTokens(past, longer, 2);
    // As a cache does it: the copy is still to be made.
    past.dispose();
    expect([...(await memory.read(longer))]).toEqual([1, 1, 2, 2, 0, 0, 0, 0]);
    const { sum } = await session.run({ x: tensor([5, 5], [1, 1, 1, 2]), "past_key_values.0.key": longer }, [
      "sum",
    ]);
    expect([...(sum!.data as Float32Array)]).toEqual([16]);
    await session.dispose();
    expect([gpu.held.size, gpu.sessions]).toEqual([0, 0]);
  });

  it("is not used after a run failed, whose inputs ONNX Runtime keeps", async () => {
    const { session } = await open(buildRunningSum());
    const before = memoryOf(session).allocate("float32", [3]);
    await expect(session.run({ x: tensor([1], [1, 1]), before })).rejects.toMatchObject({
      code: "run-failed",
    });
    await expect(session.run({ x: tensor([1, 2, 3], [3]), before })).rejects.toThrow(/load it again/);
    await session.dispose();
    await expect(session.run({})).rejects.toMatchObject({ code: "disposed" });
  });
});

describe("memory of a GPU", () => {
  it("outlives sessions, which read it and write into it", async () => {
    const gpu = fakeGpu();
    const provider = nodeProvider({ ort: gpu.ort, executionProviders: ["webgpu"], deviceBytes: 24 });
    const memory = await provider.openMemory!();
    expect(memory.bytes).toBe(24);
    let [before, total] = [memory.allocate("float32", [3]), memory.allocate("float32", [3])];
    await memory.write(before, Float32Array.of(100, 0, 0));
    for (const x of [1, 2]) {
      const session = await provider.createSession({ bytes: buildRunningSum() });
      const { total: result } = await session.run({ x: tensor([x, x, 0], [3]), before }, { total });
      expect(result).toBe(total);
      await session.dispose();
      [before, total] = [total, before];
    }
    expect([...(await memory.read(before))]).toEqual([103, 3, 0]);
    // Up: what was written, and x of two runs; the zeros to begin with are the device's own, but for how many. Down: what was read.
    expect(gpu.moved).toEqual({ up: 12 + 2 * 12 + 8, down: 12 });
    await memory.dispose();
    expect([gpu.held.size, gpu.sessions]).toEqual([0, 0]);
  });

  it("is there with WebGPU alone", () => {
    expect("openMemory" in nodeProvider({ executionProviders: ["cuda"] })).toBe(false);
    expect("openMemory" in nodeProvider()).toBe(false);
  });
});

it("refuses a graph with float16 on a GPU without, before anything runs", async () => {
  const { ort, ...gpu } = fakeGpu();
  const create = async (bytes: Uint8Array, options: never) => {
    const session = await ort.InferenceSession.create(bytes, options);
    const isHalf = session.inputMetadata.some((input) => input.isTensor && input.type === "float16");
    const fail = () => Promise.reject(new Error("Program Add requires f16"));
    return isHalf ? Object.assign(session, { run: fail }) : session;
  };
  const provider = nodeProvider({
    ort: { ...ort, InferenceSession: { create } as never },
    executionProviders: ["webgpu"],
  });
  await expect(provider.createSession({ bytes: buildRunningSum("float16") })).rejects.toThrow(
    /computes with float16, and webgpu does not here .*: use a float32/,
  );
  expect(gpu.held.size).toBe(0);
});
