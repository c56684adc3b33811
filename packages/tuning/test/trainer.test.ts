import { checkpointParts } from "@kvfold/decoder";
import { createRandom, gaussians, type ModelSource, type SessionProvider } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { globalNorm } from "../src/adam.js";
import {
  ADAPTED_PARTS,
  type AdapterOptions,
  createAdapters,
  createTrainer,
  mergeAdapters,
  parametersOf,
} from "../src/index.js";

const random = createRandom(3);
const windows = Array.from({ length: 2 }, () =>
  Int32Array.from({ length: 13 }, () => Math.floor(61 * random())),
);

async function tiny({
  loss = "distillation",
  ...options
}: Partial<createTrainer.Options> & Partial<AdapterOptions> = {}) {
  const original = checkpointParts(await syntheticCheckpoint({ config: tinyLlama }));
  const next = gaussians(5);
  const settings = { rank: 3, parts: ADAPTED_PARTS, seed: 0, ...options };
  const adapters = await Promise.all(
    [0, 1].map(async (layer) => createAdapters(await original.block(layer), layer, settings)),
  );
  for (const { values } of adapters.flatMap(parametersOf)) values.set(values.map(() => 0.15 * next()));
  const trainer = await createTrainer({
    model: original,
    original,
    adapters,
    scale: 0.5,
    loss,
    provider: oneThreadProvider(),
    ...options,
  });
  return { trainer, adapters, original };
}

/** The slope of `evaluate` at 0, by five points: errors of the fourth power of the step. */
async function slopeOf(evaluate: (step: number) => Promise<number>, step: number): Promise<number> {
  const difference = async (at: number) => (await evaluate(at)) - (await evaluate(-at));
  return (8 * (await difference(step)) - (await difference(2 * step))) / (12 * step);
}

describe.each(["distillation", "text"] as const)("%s", (loss) => {
  it("has the gradients of central differences, by all parameters of both blocks", async () => {
    const { trainer, adapters } = await tiny({ loss });
    const found = await trainer.gradients(windows);
    expect(found.loss).toBeCloseTo(await trainer.loss(windows), 6);
    const next = gaussians(9);
    for (const [layer, some] of adapters.entries()) {
      const parameters = parametersOf(some);
      const was = parameters.map(({ values }) => values.slice());
      const directions = was.map((values) => values.map(next));
      const difference = await slopeOf(async (step) => {
        for (const [index, { values }] of parameters.entries())
          values.set(was[index]!.map((value, i) => value + step * directions[index]![i]!));
        return trainer.loss(windows);
      }, 4e-3);
      for (const [index, { values }] of parameters.entries()) values.set(was[index]!);
      const slopes = found.layers[layer]!.flatMap((gradient, index) =>
        Array.from(gradient, (value, i) => value * directions[index]![i]!),
      );
      const slope = slopes.reduce((sum, value) => sum + value, 0);
      // Losses of about 5 are rounded by 5e-7, which the step makes 1e-4.
      const size = globalNorm(found.layers[layer]!);
      expect(size).toBeGreaterThan(0.1);
      expect(Math.abs(slope - difference)).toBeLessThan(3e-4 * (1 + size));
    }
    await trainer.dispose();
  });
});

it("gives the same whether sessions stay open or not, and opens one block at a time", async () => {
  const open = { now: 0, most: 0 };
  const counting: SessionProvider = {
    ...nodeProvider(),
    async createSession(source: ModelSource) {
      const session = await oneThreadProvider().createSession(source);
      const isBlock = session.inputs.some(({ name }) => name === "hidden_in");
      if (!isBlock || !session.inputs[0]!.shape.includes(12)) return session;
      open.most = Math.max(open.most, ++open.now);
      const dispose = async () => {
        open.now--;
        await session.dispose();
      };
      return {
        inputs: session.inputs,
        outputs: session.outputs,
        writesInPlace: false,
        run: (...run) => session.run(...run),
        dispose,
      };
    },
  };
  const streamed = await tiny({ provider: counting, residentBytes: 0 });
  const [resident, once] = [await tiny(), await streamed.trainer.gradients(windows)];
  expect(open).toEqual({ now: 0, most: 1 });
  expect(await resident.trainer.gradients(windows)).toEqual(once);
  expect(await resident.trainer.gradients(windows)).toEqual(once);
  await resident.trainer.dispose();
  await streamed.trainer.dispose();
});

it("computes nothing below the first layer with adapters", async () => {
  const { trainer, adapters } = await tiny();
  const only = await tiny({ adapters: [[], adapters[1]!] });
  const { layers } = await only.trainer.gradients(windows);
  expect(layers[0]).toEqual([]);
  expect(layers[1]).toHaveLength(parametersOf(adapters[1]!).length);
  for (const { trainer: done } of [{ trainer }, only]) await done.dispose();
});

it("merges adapters into a model with the same loss, and no others than asked for", async () => {
  const { trainer, adapters, original } = await tiny({ loss: "text", parts: ["query", "down"] });
  expect(adapters[0]!.map(({ weight }) => weight)).toEqual([
    "attn.q_proj.MatMul.weight",
    "mlp.down_proj.MatMul.weight",
  ]);
  const model = {
    block: async (layer: number) => mergeAdapters(await original.block(layer), adapters[layer]!, 0.5),
  };
  const merged = await tiny({ loss: "text", model, adapters: [[], []] });
  // Float32 rounds a loss of 10 by 1e-6.
  expect(Math.abs((await merged.trainer.loss(windows)) - (await trainer.loss(windows)))).toBeLessThan(1e-5);
  for (const done of [trainer, merged.trainer]) await done.dispose();
});

it("has no loss where the model is the original", async () => {
  const { trainer } = await tiny({ adapters: [[], []] });
  expect(Math.abs(await trainer.loss(windows))).toBeLessThan(1e-6);
  await trainer.dispose();
});
