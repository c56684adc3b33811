import type { ShardExchange, StageMoments, StageResult } from "@kvfold/calibration";
import type { Checkpoint } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { allocateBudget, type FoldPlan, foldModel, planFold } from "../src/index.js";
import { planLossMoments } from "../src/internals.js";
import { openFirstLayers, readWindows } from "./support/assets.js";
import { randomWindows } from "./support/numbers.js";
import { recordedOutput } from "./support/recorded-output.js";

const SHARDS = 3;
const LENGTH = 64;
/** More than attention is measured on, in shards of 6, 7 and 7. */
const WINDOWS = 20;

const readText = () => readWindows({ text: "calibration", count: WINDOWS, length: LENGTH });

/** Exchanges of shards in one process, each part a promise that its shard keeps. */
function memoryExchanges(count: number): readonly ShardExchange[] {
  const slots = new Map<string, PromiseWithResolvers<unknown>>();
  const slot = (name: string) => {
    const found = slots.get(name) ?? promiseWithResolvers();
    slots.set(name, found);
    return found;
  };
  return Array.from({ length: count }, (_, at) => ({
    shard: { index: at + 1, count },
    async *parts({ layer, step }, own) {
      slot(`${layer} ${step} ${at}`).resolve(own);
      for (let other = 0; other < count; other++)
        yield (await slot(`${layer} ${step} ${other}`).promise) as StageResult;
    },
    async settled<T>(name: string, find: () => Promise<T>) {
      if (at === 0) slot(name).resolve(await find());
      return (await slot(name).promise) as T;
    },
    finish: async () => {},
  }));
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function promiseWithResolvers(): PromiseWithResolvers<unknown> {
  let resolve!: (value: unknown) => void;
  const promise = new Promise<unknown>((found) => {
    resolve = found;
  });
  return { promise, resolve };
}

interface Folding {
  readonly checkpoint: Checkpoint;
  readonly plan: FoldPlan;
  readonly windows: readonly Int32Array[];
  readonly exchange?: ShardExchange;
}

/** The blocks of a fold as `writeModel` does it, but for the files. */
async function foldBlocks({ exchange, ...given }: Folding) {
  const provider = oneThreadProvider();
  const allocate = () => allocateBudget({ ...given, provider });
  const plan = exchange === undefined ? await allocate() : await exchange.settled("plan", allocate);
  const { output, blocks } = recordedOutput();
  const moments: StageMoments[] = [];
  const onMoments = (layer: number, stage: StageMoments) => {
    moments[layer] = stage;
  };
  await foldModel({ ...given, plan, provider, exchange, outputs: [output], onMoments });
  return { plan, blocks, moments };
}

const foldTogether = (given: Folding, exchanges: readonly ShardExchange[]) =>
  Promise.all(exchanges.map((exchange) => foldBlocks({ ...given, exchange })));

const kinds: readonly Omit<planFold.Options, "keep">[] = [
  { method: "anchored" },
  { method: "latent" },
  { method: "paper" },
];

describe("a fold whose sums come from shards", () => {
  it.each(kinds)("comes to the blocks of one that runs all windows: $method", async (kind) => {
    const checkpoint = await openFirstLayers("prose-6m", 2);
    const windows = await readText();
    const plan = planFold(checkpoint.config, { keep: "1/4", ...kind, window: LENGTH });
    const alone = await foldBlocks({ checkpoint, plan, windows });
    const shards = await foldTogether({ checkpoint, plan, windows }, memoryExchanges(SHARDS));
    expect(shards[0]!.plan).toEqual(alone.plan);
    // To the bit: windows are summed on a grid, about what the first of them finds.
    for (const { blocks, moments } of shards) {
      expect(blocks).toEqual(alone.blocks);
      expect(moments).toEqual(alone.moments);
    }
  });

  it("measures gradients together", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const plan = planFold(checkpoint.config, { keep: "1/2", metric: "loss" });
    const given = { checkpoint, plan, windows: randomWindows(7, 12, { vocabulary: 61 }) };
    const measure = (exchange?: ShardExchange) =>
      planLossMoments({ ...given, provider: oneThreadProvider(), exchange });
    const alone = (await measure())!;
    const shards = await Promise.all(memoryExchanges(SHARDS).map(measure));
    for (const layers of shards) {
      expect(layers).toEqual(shards[0]);
      for (const [layer, stage] of layers!.entries()) {
        const [found, expected] = [stage.gradientsBeforeRope!, alone[layer]!.gradientsBeforeRope!];
        expect(found.count).toBe(expected.count);
        const size = Math.max(...expected.gram.map(Math.abs));
        for (const [at, value] of expected.gram.entries())
          expect(Math.abs(found.gram[at]! - value)).toBeLessThan(1e-6 * size);
      }
    }
  });
});
