import { checkpointParts } from "@kvfold/decoder";
import { createRandom, gaussians, type SessionProvider } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { fakeGpu } from "../../runtime-node/test/fake-ort.js";
import { ADAPTED_PARTS, createAdapters, createTrainer, type Loss, parametersOf } from "../src/index.js";
import { batchesOf, windowsAtOnce } from "../src/window-batches.js";

const random = createRandom(3);
const windows = Array.from({ length: 3 }, () =>
  Int32Array.from({ length: 13 }, () => Math.floor(61 * random())),
);

async function tinyTrainer(provider: SessionProvider, loss: Loss) {
  const original = checkpointParts(await syntheticCheckpoint({ config: tinyLlama }));
  const next = gaussians(5);
  const adapters = await Promise.all(
    [0, 1].map(async (layer) =>
      createAdapters(await original.block(layer), layer, { rank: 3, parts: ADAPTED_PARTS, seed: 0 }),
    ),
  );
  for (const { values } of adapters.flatMap(parametersOf)) values.set(values.map(() => 0.15 * next()));
  return createTrainer({ model: original, original, adapters, scale: 0.5, loss, provider });
}

/** Counts runs, and numbers of hidden states that the processor is given or gives. */
function counted(provider: SessionProvider) {
  const counts = { runs: 0, hidden: 0 };
  const createSession: SessionProvider["createSession"] = async (...args) => {
    const session = await provider.createSession(...args);
    return Object.assign(Object.create(session) as typeof session, {
      inputs: session.inputs,
      outputs: session.outputs,
      memory: session.memory,
      writesInPlace: session.writesInPlace,
      dispose: () => session.dispose(),
      async run(...given: Parameters<typeof session.run>) {
        const results = await session.run(...given);
        counts.runs++;
        for (const [name, tensor] of [...Object.entries(given[0]), ...Object.entries(results)])
          if (/hidden|original/.test(name) && tensor.location === "cpu") counts.hidden += tensor.size;
        return results;
      },
    });
  };
  return { counts, provider: { ...provider, createSession } };
}

describe.each(["distillation", "text"] as const)("%s on a GPU", (loss) => {
  it("has the loss and gradients of the CPU, and leaves hidden states there", async () => {
    const host = await tinyTrainer(oneThreadProvider(), loss);
    const gpu = fakeGpu();
    const { counts, provider } = counted(nodeProvider({ ort: gpu.ort, executionProviders: ["webgpu"] }));
    const device = await tinyTrainer(provider, loss);
    const [expected, found] = [await host.gradients(windows), await device.gradients(windows)];
    // Float32 through two blocks and a head, in another order.
    expect(Math.abs(found.loss / expected.loss - 1)).toBeLessThan(1e-5);
    for (const [layer, gradients] of expected.layers.entries())
      for (const [index, gradient] of gradients.entries()) {
        const size = Math.max(...gradient.map(Math.abs));
        const difference = Math.max(
          ...gradient.map((value, i) => Math.abs(value - found.layers[layer]![index]![i]!)),
        );
        expect(difference).toBeLessThan(1e-5 * size + 1e-8);
      }
    expect(Math.abs((await device.loss(windows)) / (await host.loss(windows)) - 1)).toBeLessThan(1e-5);
    // What is known of the original is given again.
    expect(counts.hidden).toBe(loss === "distillation" ? 3 * 12 * 32 : 0);
    // All windows go through a graph at once: an embedding, blocks of one or both models, a head, and blocks back. What the
    // original says of them is known the second time.
    const forward = loss === "distillation" ? 4 : 2;
    expect(counts.runs).toBe(1 + forward + 1 + 2 + (1 + 2 + 1));
    await device.dispose();
    await host.dispose();
    expect(gpu.held.size).toBe(0);
    expect(gpu.sessions).toBe(0);
  });
});

it("takes as many windows at once as their hidden states and scores allow", () => {
  const config = (hiddenSize: number, heads: number) =>
    ({ shape: { hiddenSize }, blocks: [{ attention: { heads } }] }) as never;
  expect(windowsAtOnce(config(512, 8), 4096)).toBe(8);
  expect(windowsAtOnce(config(2048, 64), 4096)).toBe(2);
  expect(windowsAtOnce(config(2048, 128), 8192)).toBe(1);
  expect(batchesOf([1, 2, 3, 4, 5, 6, 7], 3)).toEqual([[1, 2, 3], [4, 5, 6], [7]]);
  expect(batchesOf([1, 2, 3, 4], 3)).toEqual([
    [1, 2],
    [3, 4],
  ]);
});
