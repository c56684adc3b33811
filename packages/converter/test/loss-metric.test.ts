import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkpointParts, loadBlock } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import { cacheGradients, type LayerGradients } from "@kvfold/tuning";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { groupsOf, layerContext } from "../src/fold/group.js";
import { jointGroupsOf } from "../src/fold/joint-groups.js";
import { allocateBudget, createBlockMath, foldModel, lossMoments, planFold } from "../src/index.js";
import { fold } from "../src/node.js";
import { randomWindows } from "./support/numbers.js";
import { writeTinyLlama } from "./support/tiny-folder.js";

const [LENGTH, WIDTH] = [12, 64];
const windows = randomWindows(3, LENGTH, { vocabulary: 61 });
const provider = oneThreadProvider();

/** Sums over tokens of products of two numbers of the rows `[S, W]`. */
const product = (rows: readonly Float32Array[], i: number, j: number): number => {
  let sum = 0;
  for (const row of rows) for (let at = 0; at < row.length; at += WIDTH) sum += row[at + i]! * row[at + j]!;
  return sum;
};

describe("the metric of the loss", () => {
  it("is the second moment of its gradients, as keys stand in each method", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const found: LayerGradients[][] = [];
    const values = ["keys", "keysBeforeRope", "values"] as const;
    const text = { windows, seed: 0, provider };
    const onLayer = async (layer: number, gradients: readonly LayerGradients[]) => {
      found[layer] = [...gradients];
    };
    const model = checkpointParts(checkpoint);
    await cacheGradients({ ...text, model, tokens: "drawn", values, onLayer });
    const tokens = windows.length * LENGTH;
    for (const [method, tap, keys] of [
      ["latent", "gradients", "keys"],
      ["anchored", "gradientsBeforeRope", "keysBeforeRope"],
    ] as const) {
      const plan = planFold(checkpoint.config, { keep: "1/2", method, metric: "loss" });
      expect(plan.taps).toContain(tap);
      const moments = await lossMoments({ ...text, checkpoint, tap });
      const { attention } = await loadBlock(checkpoint, 1);
      const context = layerContext(plan, { layer: 1, attention, moments: moments[1]! });
      const rows = found[1]!.map((gradients) => gradients[keys]!);
      const [{ keys: keysPlan }] = plan.layers as [(typeof plan.layers)[number]];
      // Keys of chunks of one slot are not turned.
      const ones = Array.from({ length: 8 }, () => 1);
      const groups =
        method === "latent"
          ? groupsOf("keys", keysPlan, context)
          : jointGroupsOf(plan.layers[0]!, context, ones);
      const metric = groups[0]!.lossMetric!();
      expect(metric.rows).toBe(method === "latent" ? WIDTH : 2 * WIDTH);
      // Sums in float32 over some tokens.
      for (const [i, j] of [
        [0, 0],
        [3, 60],
        [17, 40],
      ] as const)
        expect(metric.data[i * metric.cols + j]).toBeCloseTo(product(rows, i, j) / tokens, 5);
    }
  });

  it("is refused by methods that do not weigh errors, and wants its gradients measured", async () => {
    const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
    const { config } = checkpoint;
    expect(() => planFold(config, { keep: "1/2", method: "paper", metric: "loss" })).toThrow(
      expect.objectContaining({
        code: "invalid-option",
        option: "metric",
        message:
          "metric loss: method paper does not weigh errors; leave it out, or choose one of commuting, commuting-reallocated, latent, anchored",
      }),
    );
    const plan = planFold(config, { keep: "1/2", method: "latent", metric: "loss" });
    await expect(foldModel({ checkpoint, plan, outputs: [], provider, windows })).rejects.toThrow(
      "metric loss needs moments of gradients, and there are none; measure them with lossMoments and give them as gradients",
    );
    const shared = planFold(config, { keep: "1/2", method: "anchored", metric: "loss", budget: "power" });
    for (const moments of [undefined, [{}, {}]])
      await expect(allocateBudget({ checkpoint, plan: shared, provider, windows, moments })).rejects.toThrow(
        "metric loss needs moments of gradientsBeforeRope, and there are none",
      );
  });
});

describe("a fold by the metric of the loss", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "kvfold-loss-metric-"));
    await writeTinyLlama(join(folder, "model"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const run = async (method: string, metric?: "loss") => {
    const to = join(folder, `${method}-${metric}`);
    const from = join(folder, "model");
    const { retained } = await fold({
      from,
      to,
      keep: "1/2",
      method,
      metric,
      heal: "none",
      windows,
      provider,
      math: createBlockMath(plainProducts),
    });
    return { retained, record: JSON.parse(await readFile(join(to, "kvfold.json"), "utf8")) };
  };

  it.each(["anchored", "latent", "commuting", "commuting-reallocated"])(
    "is another one: %s",
    async (method) => {
      const [plain, weighed] = [await run(method), await run(method, "loss")];
      expect(weighed.record.plan.metric).toBe("loss");
      expect(weighed.record.request.metric).toBe("loss");
      expect(plain.record.plan.metric).toBeUndefined();
      expect(weighed.retained).not.toEqual(plain.retained);
    },
  );
});
