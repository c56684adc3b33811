import { type HiddenStatesFactory, memoryHiddenStates, type StageMoments } from "@kvfold/calibration";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { randomWindows } from "../../test/support/numbers.js";
import { recordedOutput } from "../../test/support/recorded-output.js";
import { planFold } from "../plan/plan-fold.js";
import { foldModel } from "./fold-model.js";
import type { FoldProgress } from "./progress.js";

const windows = randomWindows(3, 12, { vocabulary: 61 });

async function setUp(options: planFold.Options) {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  return { checkpoint, plan: planFold(checkpoint.config, options), provider: nodeProvider() };
}

describe("foldModel", () => {
  it("hands blocks to every output in order", async () => {
    const [first, second] = [recordedOutput(), recordedOutput()];
    const set = await setUp({ keep: "1/2", method: "mean" });
    await foldModel({ ...set, outputs: [first.output, second.output] });
    expect(first.calls).toEqual(["begin", "block", "block", "finish"]);
    expect(second.calls).toEqual(first.calls);
    expect(first.blocks[0]!.attention).toMatchObject({
      keys: { heads: 2, size: 16 },
      values: { heads: 2, size: 16 },
    });
  });

  it("tells of every step", async () => {
    const seen: FoldProgress[] = [];
    const set = await setUp({ keep: "1/2", method: "svd-a" });
    await foldModel({ ...set, windows, outputs: [], onProgress: (progress) => seen.push(progress) });
    const told = seen.map(({ step, layer, done, total }) => `${step} ${layer}: ${done}/${total}`);
    expect(told).toEqual([
      ...[1, 2, 3].map((done) => `embed 0: ${done}/12`),
      // The attention half with its moments, then the other half.
      ...[4, 5, 6, 7, 8, 9].map((done) => `measure 0: ${done}/12`),
      // The next block is measured before this one is written.
      ...[10, 11, 12].map((done) => `measure 1: ${done}/12`),
      "write 0: 12/12",
      "write 1: 12/12",
    ]);
  });

  it.each([
    { method: "latent", heal: "both" },
    { method: "latent", heal: "attention" },
    { method: "svd-a", heal: "both" },
    { method: "random", heal: "attention" },
    { method: "mean", heal: "none" },
  ] as const)("counts to the end with $method, heal $heal", async ({ method, heal }) => {
    const seen: FoldProgress[] = [];
    const set = await setUp({ keep: "1/2", method, heal });
    await foldModel({ ...set, windows, outputs: [], onProgress: (progress) => seen.push(progress) });
    const { done, total } = seen.at(-1)!;
    expect(done).toBe(total);
    expect(seen.every((progress, i) => progress.done >= (seen[i - 1]?.done ?? 0))).toBe(true);
  });

  it("folds alike with moments measured before", async () => {
    const set = await setUp({ keep: "1/2", method: "svd-a" });
    const [live, stored] = [recordedOutput(), recordedOutput()];
    const moments: StageMoments[] = [];
    const onMoments = (layer: number, stage: StageMoments) => {
      moments[layer] = stage;
    };
    const report = await foldModel({ ...set, windows, outputs: [live.output], onMoments });
    const again = await foldModel({ ...set, provider: undefined, moments, outputs: [stored.output] });
    expect(stored.blocks).toEqual(live.blocks);
    expect(again).toEqual(report);
  });

  it("reports what share of the energy its bases keep", async () => {
    const kept = async (keep: string) => {
      const set = await setUp({ keep, method: "svd-a", keySpan: 4, valueSpan: 4 });
      const { retained } = await foldModel({ ...set, windows, outputs: [] });
      return retained.map(({ keys }) => keys[0]!);
    };
    const [half, quarter, all] = [await kept("1/2"), await kept("1/4"), await kept("1")];
    for (const layer of [0, 1]) {
      expect(half[layer]).toBeLessThan(1);
      expect(half[layer]).toBeGreaterThan(quarter[layer]!);
      // Energies are sums of eigenvalues in float64.
      expect(all[layer]).toBeCloseTo(1, 9);
    }
  });

  it.each([
    ["none", 1],
    ["attention", 4],
    ["both", 4],
  ] as const)("with heal %s holds at most %i streams of hidden states at a time", async (heal, count) => {
    const set = await setUp({ keep: "1/2", method: "svd-a", heal });
    let [open, most] = [0, 0];
    const hiddenStates: HiddenStatesFactory = async (...size) => {
      most = Math.max(most, ++open);
      const states = await memoryHiddenStates(...size);
      return { ...states, dispose: async () => void open-- };
    };
    await foldModel({ ...set, windows, outputs: [], hiddenStates });
    expect([most, open]).toEqual([count, 0]);
  });

  it("stops at a signal, and frees its hidden states", async () => {
    const set = await setUp({ keep: "1/2", method: "svd-a" });
    const controller = new AbortController();
    let disposed = false;
    const folding = foldModel({
      ...set,
      windows,
      outputs: [],
      signal: controller.signal,
      onMoments: () => controller.abort(),
      hiddenStates: async (count) => {
        const states: Float32Array[] = [];
        return {
          windows: count,
          read: async (index) => states[index]!,
          write: async (index, values) => {
            states[index] = values;
          },
          dispose: async () => {
            disposed = true;
          },
        };
      },
    });
    await expect(folding).rejects.toThrow(expect.objectContaining({ code: "aborted" }));
    expect(disposed).toBe(true);
  });
});

describe("foldModel that fails", () => {
  it("abandons every output, and finishes none", async () => {
    const set = await setUp({ keep: "1/2", method: "mean" });
    const [failing, other] = [recordedOutput(), recordedOutput()];
    const output = { ...failing.output, addBlock: () => Promise.reject(new Error("ENOSPC")) };
    await expect(foldModel({ ...set, outputs: [output, other.output] })).rejects.toThrow("ENOSPC");
    expect([failing.calls, other.calls]).toEqual([
      ["begin", "abandon"],
      ["begin", "abandon"],
    ]);
  });

  it("abandons outputs that it never began, and all of them where one cannot be abandoned", async () => {
    const set = await setUp({ keep: "1/2", method: "svd-a" });
    const [stuck, other] = [recordedOutput(), recordedOutput()];
    const output = { ...stuck.output, abandon: () => Promise.reject(new Error("EIO")) };
    const failure = expect.objectContaining({ code: "insufficient-data" });
    await expect(foldModel({ ...set, outputs: [output, other.output] })).rejects.toThrow(failure);
    expect(other.calls).toEqual(["abandon"]);
  });
});

describe("foldModel refuses", () => {
  it.each([
    ["no windows", {}],
    ["an empty list of windows", { windows: [] }],
    ["windows without a provider", { windows, provider: undefined }],
  ])("a method that needs calibration with %s", async (_, given) => {
    const set = await setUp({ keep: "1/2", method: "svd-a" });
    await expect(foldModel({ ...set, outputs: [], ...given })).rejects.toThrow(
      expect.objectContaining({
        code: "insufficient-data",
        message: "method svd-a needs calibration text; give token windows",
      }),
    );
  });

  it("moments that lack what the method looks at", async () => {
    const set = await setUp({ keep: "1/2", method: "svd-a" });
    await expect(foldModel({ ...set, outputs: [], moments: [{}, {}] })).rejects.toThrow(
      expect.objectContaining({
        code: "insufficient-data",
        message: "moments of keys were not measured; calibrate with this method's taps",
      }),
    );
  });
});
