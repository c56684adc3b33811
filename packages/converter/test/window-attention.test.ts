import { checkpointParts } from "@kvfold/decoder";
import { readModel } from "@kvfold/onnx";
import type { SessionProvider } from "@kvfold/runtime";
import { createTrainer } from "@kvfold/tuning";
import { expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { foldModel, lossMoments, planFold } from "../src/index.js";
import { randomWindows } from "./support/numbers.js";

/** A provider that keeps which operators its graphs have. */
function watchedProvider() {
  const provider = oneThreadProvider();
  const operators = new Set<string>();
  const createSession: SessionProvider["createSession"] = (source, options) => {
    if ("bytes" in source) for (const { operator } of readModel(source.bytes).nodes) operators.add(operator);
    return provider.createSession(source, options);
  };
  return { operators, provider: { ...provider, createSession } };
}

const windows = randomWindows(3, 12, { vocabulary: 61 });

// Heads of 16 alike, which the fused operator could compute; latents of both sides; one of both.
it.each(["mean", "commuting", "svd-w", "latent", "anchored"])(
  "graphs over windows never fuse attention: a healed fold by %s",
  async (method) => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const plan = planFold(checkpoint.config, { keep: "1/2", method, budget: "uniform", heal: "both" });
    const { operators, provider } = watchedProvider();
    await foldModel({ checkpoint, plan, windows, provider, outputs: [] });
    expect(operators).toContain("Softmax");
    expect(operators).not.toContain("GroupQueryAttention");
  },
);

it("graphs over windows never fuse attention: gradients and training", async () => {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  const { operators, provider } = watchedProvider();
  await lossMoments({ checkpoint, tap: "gradients", windows, seed: 0, provider });
  const model = checkpointParts(checkpoint);
  const adapters = model.config.blocks.map(() => []);
  const trainer = await createTrainer({ model, original: model, adapters, scale: 1, loss: "text", provider });
  await trainer.loss(windows);
  await trainer.dispose();
  expect(operators).toContain("Softmax");
  expect(operators).not.toContain("GroupQueryAttention");
});
