import type { AttentionWeights, BlockWeights } from "@kvfold/decoder";
import { nodeProvider } from "@kvfold/runtime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { randomWindows } from "../../test/support/numbers.js";
import { recordedOutput } from "../../test/support/recorded-output.js";
import { type BlockMath, inlineBlockMath } from "../fold/block-math.js";
import { foldModel } from "../fold/fold-model.js";
import type { RefitInputsInput } from "../fold/refit.js";
import { REFIT, REFIT_TARGET } from "../graph/regression.js";
import { planFold } from "../plan/plan-fold.js";
import { workerBlockMath } from "./worker-block-math.js";

describe("workerBlockMath", () => {
  let math: BlockMath;
  // Node cannot run TypeScript in a worker: the thread is the built one (npm run build).
  beforeAll(() => {
    math = workerBlockMath();
  });
  afterAll(() => math.dispose());

  it("folds to the same bits as the caller's thread", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const plan = planFold(checkpoint.config, { keep: "1/2", method: "latent" });
    const windows = randomWindows(3, 12, { vocabulary: 61 });
    const fold = async (where?: BlockMath) => {
      const { output, blocks } = recordedOutput();
      await foldModel({
        checkpoint,
        plan,
        windows,
        provider: nodeProvider(),
        outputs: [output],
        math: where,
      });
      return blocks;
    };
    expect(await fold(math)).toEqual(await fold());
  });

  it("hands the sums of a regression over without a copy", async () => {
    const [gram, cross] = [Float64Array.of(2), Float64Array.of(3)];
    const moments = { [REFIT]: { width: 1, count: 1, sum: Float64Array.of(1), gram } };
    const crosses = { [REFIT_TARGET]: { cross, sum: Float64Array.of(1) } };
    const linear = { inputs: 1, outputs: 1, weight: Float32Array.of(1), bias: undefined };
    const input = { linear, sums: { moments, crosses }, bias: "none" } as const;
    // Both change the sums that they are given.
    const expected = (await inlineBlockMath.run("refitLinear", structuredClone(input))).weight[0];
    expect((await math.run("refitLinear", input)).weight[0]).toBe(expected);
    expect([gram.length, cross.length]).toEqual([0, 0]);
  });

  it("brings errors back as what they were", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { layers } = planFold(checkpoint.config, { keep: "1/2", method: "svd-a" });
    const attention = { heads: 8, headDim: 16 } as BlockWeights["attention"];
    const input = { layer: 0, seed: 0, moments: {}, outputBias: true } as const;
    const folding = (method: string) =>
      math.run("foldLayer", { ...input, method, attention, plan: layers[0]! });
    await expect(folding("pca")).rejects.toThrow(
      expect.objectContaining({ name: "ConverterError", code: "invalid-option" }),
    );
  });

  it("gives up what is still running when it is disposed", async () => {
    const busy = workerBlockMath();
    const size = 1000;
    const gram = new Float64Array(size * size);
    for (let row = 0; row < size; row++) gram[row * size + row] = 1;
    const moments = { [REFIT]: { width: size, count: size, sum: new Float64Array(size), gram } };
    const crosses = { [REFIT_TARGET]: { cross: gram, sum: new Float64Array(size) } };
    // Billions of multiply-adds: it would take seconds.
    const input = { linears: [{ inputs: size }], sums: { moments, crosses }, bias: "free" };
    const task = busy.run("refitInputs", input as unknown as RefitInputsInput);
    const outcome = task.catch((error: unknown) => error);
    await busy.dispose();
    expect(await outcome).toMatchObject({ name: "RuntimeError", code: "aborted" });
  });

  it("rejects what cannot be sent, and goes on", async () => {
    const input = { attention: () => {}, size: 1 } as unknown as {
      attention: AttentionWeights;
      size: number;
    };
    await expect(math.run("narrowOutput", input)).rejects.toThrow(/could not be cloned/);
    const sums = { moments: {}, crosses: {} };
    await expect(math.run("refitInputs", { linears: [], sums, bias: "free" })).rejects.toThrow(/undefined/);
  });

  it("fails tasks that its thread can no longer do", async () => {
    const ended = workerBlockMath();
    await ended.dispose();
    const sums = { moments: {}, crosses: {} };
    await expect(ended.run("refitInputs", { linears: [], sums, bias: "free" })).rejects.toThrow(
      "the thread for linear algebra has ended",
    );
  });
});
