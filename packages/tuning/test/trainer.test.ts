import { nodeProvider } from "@kvfold/runtime-node";
import { createRandom, gaussians } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { ADAPTED_PARTS, checkpointParts, createAdapters, createTrainer, mergeAdapters, parametersOf } from "../src/index.js";

const random = createRandom(3);
const windows = Array.from({ length: 2 }, () => Int32Array.from({ length: 13 }, () => Math.floor(61 * random())));

async function tiny(loss: "distillation" | "text") {
  const original = checkpointParts(await syntheticCheckpoint({ config: tinyLlama, seed: 1 }));
  const other = checkpointParts(await syntheticCheckpoint({ config: tinyLlama, seed: 1 }));
  const next = gaussians(5);
  const adapters = await Promise.all(
    [0, 1].map(async (layer) => createAdapters(await other.block(layer), layer, { rank: 3, parts: ADAPTED_PARTS, seed: 0 })),
  );
  for (const parameter of adapters.flatMap(parametersOf)) parameter.values.forEach((_, i) => { parameter.values[i] = 0.15 * next(); });
  const trainer = await createTrainer({ model: other, original, adapters, scale: 0.5, loss, provider: nodeProvider(), session: { threads: 1 }, residentBytes: 0 });
  return { trainer, adapters, original, other };
}

describe.each(["distillation", "text"] as const)("the gradients of %s", (loss) => {
  it("are those of central differences", async () => {
    const { trainer, adapters } = await tiny(loss);
    const found = await trainer.gradients(windows);
    expect(found.loss).toBeCloseTo(await trainer.loss(windows), 6);
    const next = gaussians(9);
    for (const [layer, some] of adapters.entries()) {
      for (const [index, { values, name }] of parametersOf(some).entries()) {
        const direction = Float32Array.from(values, next);
        const was = values.slice();
        const at = async (step: number) => {
          values.set(was.map((value, i) => value + step * direction[i]!));
          return trainer.loss(windows);
        };
        const h = 4e-3;
        const difference = (8 * ((await at(h)) - (await at(-h))) - ((await at(2 * h)) - (await at(-2 * h)))) / (12 * h);
        values.set(was);
        const slope = found.layers[layer]![index]!.reduce((sum, value, i) => sum + value * direction[i]!, 0);
        console.log(layer, name, slope, difference);
      }
    }
    await trainer.dispose();
  });
});
void mergeAdapters;
