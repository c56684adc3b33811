import { type BlockWeights, checkpointParts, type DecoderParts, type Linear } from "@kvfold/decoder";
import { createRandom, gaussians, Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { type CacheValue, cacheGradients, createTrainer, type LayerGradients } from "../src/index.js";
import { DRAWN_IN, PREDICTED, predictionGraph } from "../src/prediction-graph.js";

const LENGTH = 12;
const [LAYERS, WIDTH] = [2, 64];
const random = createRandom(3);
const windows = Array.from({ length: 2 }, () =>
  Int32Array.from({ length: LENGTH + 1 }, () => Math.floor(61 * random())),
);
const provider = oneThreadProvider();
const openTiny = async () => checkpointParts(await syntheticCheckpoint({ config: tinyLlama }));

type Options = Partial<Parameters<typeof cacheGradients>[0]>;

/** Gradients by layer and window. */
async function gradientsOf(model: DecoderParts, options: Options = {}) {
  const layers: LayerGradients[][] = [];
  const values: readonly CacheValue[] = ["keys", "keysBeforeRope", "values"];
  const onLayer = async (layer: number, some: readonly LayerGradients[]) => {
    layers[layer] = [...(layers[layer] ?? []), ...some];
  };
  const given = { model, windows, tokens: "text", values, seed: 1, provider, onLayer } as const;
  await cacheGradients({ ...given, ...options });
  return layers;
}

/** A model whose keys or values of one layer are moved, all tokens alike. */
const moved = (model: DecoderParts, at: number, part: "key" | "value", by: Float32Array): DecoderParts => ({
  ...model,
  async block(layer): Promise<BlockWeights> {
    const block = await model.block(layer);
    if (layer !== at) return block;
    const linear: Linear = { ...block.attention[part], bias: by };
    return { ...block, attention: { ...block.attention, [part]: linear } };
  },
});

/** The loss of all windows, summed over their tokens. */
async function lossOf(model: DecoderParts): Promise<number> {
  const none = Array.from({ length: LAYERS }, () => []);
  const trainer = await createTrainer({
    model,
    original: model,
    adapters: none,
    scale: 1,
    loss: "text",
    provider,
  });
  const mean = await trainer.loss(windows);
  await trainer.dispose();
  return mean * windows.length * LENGTH;
}

describe("gradients by the cache", () => {
  it.each([
    ["key", "keysBeforeRope"],
    ["value", "values"],
  ] as const)("are those of central differences: %s of both layers", async (part, value) => {
    const model = await openTiny();
    const found = await gradientsOf(model);
    const next = gaussians(7);
    for (let layer = 0; layer < LAYERS; layer++) {
      const direction = Float32Array.from({ length: WIDTH }, next);
      const at = (step: number) =>
        lossOf(
          moved(
            model,
            layer,
            part,
            direction.map((x) => step * x),
          ),
        );
      const difference = ((await at(1e-2)) - (await at(-1e-2))) / 2e-2;
      let slope = 0;
      for (const gradients of found[layer]!)
        for (const [index, gradient] of gradients[value]!.entries())
          slope += gradient * direction[index % WIDTH]!;
      // Losses of about 100 are rounded by 1e-5, which the step makes 1e-3, and the third derivative is left.
      expect(Math.abs(slope - difference)).toBeLessThan(2e-3 * (1 + Math.abs(slope)));
      expect(Math.abs(slope)).toBeGreaterThan(0.05);
    }
  });

  it("turn as keys do", async () => {
    const [layer] = await gradientsOf(await openTiny());
    const { keys, keysBeforeRope } = layer![0]!;
    for (let token = 0; token < LENGTH; token++) {
      for (let pair = 0; pair < 8; pair++) {
        const angle = token * 10_000 ** (-pair / 8);
        const [a, b] = [token * WIDTH + pair, token * WIDTH + pair + 8];
        const turned = Math.cos(angle) * keysBeforeRope![a]! - Math.sin(angle) * keysBeforeRope![b]!;
        // Float32 of sums of a few numbers below 1.
        expect(Math.abs(keys![a]! - turned)).toBeLessThan(1e-6);
      }
    }
  });

  it("are the same for all windows at once and one at a time", async () => {
    const model = await openTiny();
    expect(await gradientsOf(model, { streamBytes: 0 })).toEqual(await gradientsOf(model));
  });

  it("are of tokens that are drawn by the seed", async () => {
    const model = await openTiny();
    const drawn = (seed: number) =>
      gradientsOf(model, { tokens: "drawn", seed, windows: windows.map((window) => window.subarray(1)) });
    expect(await drawn(1)).toEqual(await drawn(1));
    expect(await drawn(1)).not.toEqual(await drawn(2));
  });

  it("are those of the whole text in its parts", async () => {
    const model = await openTiny();
    const read = [...windows, windows[1]!].map((window) => window.subarray(1));
    const drawn = (start: number, end: number) =>
      gradientsOf(model, { tokens: "drawn", seed: 4, windows: read.slice(start, end), first: start });
    const whole = await drawn(0, 3);
    for (const cut of [1, 2]) {
      const [before, after] = [await drawn(0, cut), await drawn(cut, 3)];
      expect(before.map((gradients, layer) => [...gradients, ...after[layer]!])).toEqual(whole);
    }
    // The last two windows are alike, but for the tokens that are drawn.
    expect(whole[0]![1]).not.toEqual(whole[0]![2]);
  });
});

it("draws each token as often as the model says", async () => {
  const model = await openTiny();
  const parts = { config: model.config, embedding: await model.embedding(), head: await model.head() };
  const session = await provider.createSession(predictionGraph(parts));
  const [rows, { hiddenSize, vocabSize }] = [2000, model.config.shape];
  const next = gaussians(2);
  const hidden = Float32Array.from({ length: hiddenSize }, next);
  const states = Float32Array.from({ length: rows * hiddenSize }, (_, index) => hidden[index % hiddenSize]!);
  // One number in the middle of each of so many equal parts.
  const drawn = Float32Array.from({ length: rows }, (_, row) => (row + 0.5) / rows);
  const results = await session.run({
    hidden_in: new Tensor("float32", states, [1, rows, hiddenSize]),
    [DRAWN_IN]: new Tensor("float32", drawn, [1, rows, 1]),
  });
  const counts = new Float64Array(vocabSize);
  for (const token of results[PREDICTED]!.data as BigInt64Array) counts[Number(token)]!++;
  const root = Math.sqrt(hidden.reduce((sum, x) => sum + x * x, 0) / hiddenSize + 1e-5);
  const logits = Float64Array.from(counts, (_, token) =>
    hidden.reduce((sum, x, i) => {
      const normed = (x / root) * parts.head.norm!.weight[i]!;
      return sum + normed * parts.head.table![token * hiddenSize + i]!;
    }, 0),
  );
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  // A part begins and ends within one number each.
  for (const [token, logit] of logits.entries())
    expect(Math.abs(counts[token]! - (rows * Math.exp(logit)) / total)).toBeLessThan(1.01);
  await session.dispose();
});
