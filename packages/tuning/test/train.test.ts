import { describe, expect, it } from "vitest";
import { adamStep, newMoments } from "../src/adam.js";
import type { Adapter } from "../src/index.js";
import { restoreState, saveState, train } from "../src/index.js";
import { learningRateAt } from "../src/learning-rate.js";
import { windowOrder } from "../src/window-order.js";

const parameter = (name: string, values: readonly number[]) => ({
  name,
  dims: [1, values.length],
  values: Float32Array.from(values),
});
const adapterOf = (down: readonly number[], up: readonly number[]): Adapter => ({
  weight: "w",
  down: parameter("a", down),
  up: parameter("b", up),
});

/** A trainer whose loss is the squared distance of all parameters to 1. */
function bowl(adapters: readonly (readonly Adapter[])[]) {
  const all = adapters.flat().flatMap(({ down, up }) => [down.values, up.values]);
  const loss = () => all.flatMap((values) => [...values]).reduce((sum, value) => sum + (value - 1) ** 2, 0);
  return {
    loss: async () => loss(),
    gradients: async () => ({
      loss: loss(),
      layers: adapters.map((some) =>
        some.flatMap(({ down, up }) =>
          [down.values, up.values].map((values) => values.map((value) => 2 * (value - 1))),
        ),
      ),
    }),
  };
}

const schedule = {
  steps: 40,
  windowsPerStep: 1,
  learningRate: 0.1,
  warmUp: 2,
  weightDecay: 0,
  clip: 1,
  seed: 0,
  evaluateEvery: 5,
  patience: 3,
};
const window = Int32Array.of(1, 2);

/** A bowl whose held-out losses are the given ones, one after the other. */
function measuring(adapters: Parameters<typeof bowl>[0], losses: readonly number[]) {
  let measured = 0;
  return { ...bowl(adapters), loss: async () => losses[measured++]! };
}

describe("train", () => {
  it("finds the least loss, and goes on from a saved state to the bit", async () => {
    const adapters = [[adapterOf([0, 3], [-1])]];
    const states: Uint8Array[] = [];
    const onState = async (state: Parameters<typeof saveState>[0]) =>
      void states.push(saveState(state, adapters, { name: "bowl" }));
    const options = { ...schedule, trainer: bowl(adapters), adapters, windows: [window], heldOut: [window] };
    const report = await train({ ...options, onState });
    expect(report.heldOut.at(-1)!.loss).toBeLessThan(1e-2);
    const again = [[adapterOf([9, 9], [9])]];
    const state = await restoreState(states[16]!, again);
    expect(await train({ ...options, trainer: bowl(again), adapters: again, state })).toEqual(report);
    expect(again).toEqual(adapters);
    await expect(restoreState(states[0]!, [[adapterOf([1], [1])]])).rejects.toMatchObject({
      code: "unusable-state",
    });
  });

  it("stops when held-out windows get worse, with the parameters that were best", async () => {
    const adapters = [[adapterOf([0], [0])]];
    const trainer = measuring(adapters, [5, 4, 3, 6, 7, 8, 1]);
    const best: Float32Array[] = [];
    const onState = async ({ step }: { readonly step: number }) =>
      void (step === 10 && best.push(adapters[0]![0]!.down.values.slice()));
    const report = await train({
      ...schedule,
      trainer,
      adapters,
      windows: [window],
      heldOut: [window],
      onState,
    });
    expect(report).toMatchObject({ steps: 25, kept: 10, stoppedEarly: true });
    expect(adapters[0]![0]!.down.values).toEqual(best[0]);
  });

  it("ends with the best when it is told that it is enough, and measures the last step", async () => {
    const [better, worse] = [
      [9, 8, 7],
      [9, 8, 10],
    ];
    for (const losses of [better, worse]) {
      const adapters = [[adapterOf([0], [0])]];
      const trainer = measuring(adapters, losses);
      const enough = { aborted: false };
      const onState = async ({ step }: { readonly step: number }) => {
        enough.aborted = step === 7;
      };
      const options = {
        ...schedule,
        trainer,
        adapters,
        windows: [window],
        heldOut: [window],
        onState,
        enough,
      };
      const { heldOut, ...report } = await train(options);
      expect(report).toMatchObject({ steps: 7, kept: losses === better ? 7 : 5, stoppedEarly: true });
      expect(heldOut.map(({ step }) => step)).toEqual([0, 5, 7]);
    }
  });

  it("changes nothing when it is enough from the beginning", async () => {
    const adapters = [[adapterOf([0], [0])]];
    const options = { ...schedule, trainer: bowl(adapters), adapters, windows: [window] };
    const report = await train({ ...options, heldOut: [window], enough: { aborted: true } });
    expect(report).toMatchObject({ steps: 0, kept: 0, heldOut: [{ step: 0 }] });
  });

  it.each([
    [[1, Number.NaN], "step 2: the loss is NaN; lower the learning rate (it is 0.1)"],
    [
      [1, 2, 6, 9, 9],
      "step 5: the loss grew from 1.00 to 5.40 nats per token; lower the learning rate (it is 0.1)",
    ],
  ])("says that losses of %j diverge", async (losses, message) => {
    const adapters = [[adapterOf([0], [0])]];
    let step = 0;
    const trainer = {
      ...bowl(adapters),
      gradients: async () => ({ loss: losses[step++]!, layers: [[Float32Array.of(1), Float32Array.of(1)]] }),
    };
    const work = train({ ...schedule, trainer, adapters, windows: [window], heldOut: [] });
    await expect(work).rejects.toThrow(expect.objectContaining({ code: "diverged", message }));
  });
});

it("takes AdamW's steps", () => {
  const [values, moments] = [Float32Array.of(1), newMoments(1)];
  // As torch.optim.AdamW(lr=0.1, weight_decay=0.1) does for gradients 0.5 and -1: its first step is the learning rate.
  adamStep(values, Float32Array.of(0.5), moments, {
    learningRate: 0.1,
    weightDecay: 0.1,
    step: 1,
    gradientScale: 1,
  });
  expect(values[0]).toBeCloseTo(0.99 - 0.1, 6);
  adamStep(values, Float32Array.of(-2), moments, {
    learningRate: 0.1,
    weightDecay: 0.1,
    step: 2,
    gradientScale: 0.5,
  });
  const [mean, square] = [(0.9 * 0.05 - 0.1) / 0.19, (0.999 * 0.00025 + 0.001) / (1 - 0.999 ** 2)];
  expect(values[0]).toBeCloseTo(0.89 * 0.99 - (0.1 * mean) / Math.sqrt(square), 6);
});

it("raises the learning rate and lowers it", () => {
  const rates = [1, 2, 3, 4, 5, 6].map((step) =>
    learningRateAt(step, { learningRate: 8, steps: 6, warmUp: 2 }),
  );
  expect(rates).toEqual([4, 8, 6.4, 4.8, 3.2, 1.6].map((rate) => expect.closeTo(rate, 9)));
});

it("takes every window once before any comes again", () => {
  const order = windowOrder(5, 1);
  const places = Array.from({ length: 15 }, (_, place) => order(place));
  for (const start of [0, 5, 10])
    expect(places.slice(start, start + 5).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
  expect(places.slice(0, 5)).not.toEqual(places.slice(5, 10));
  expect([12, 3, 7].map(windowOrder(5, 1))).toEqual([12, 3, 7].map((place) => places[place]));
});
