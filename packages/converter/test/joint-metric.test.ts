import { type AttentionWeights, type Checkpoint, loadBlock, loadEmbedding } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import { describe, expect, it } from "vitest";
import { runAttention } from "../../decoder/test/reference/attention.js";
import type { Seen } from "../../decoder/test/reference/decoder.js";
import { embed } from "../../decoder/test/reference/embed.js";
import { applyNorm, type Rows } from "../../decoder/test/reference/layers.js";
import { syntheticCheckpoint, tinyLlama } from "../../decoder/test/reference/synthetic-checkpoint.js";
import { openFamily } from "../../decoder/test/support/families.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { startCalibration } from "../src/fold/calibrator.js";
import { layerContext } from "../src/fold/group.js";
import { jointGroupsOf } from "../src/fold/joint-groups.js";
import { planFold } from "../src/index.js";
import { localKeyMetric } from "../src/methods/joint-metric.js";
import { outputMetric } from "../src/methods/metrics.js";
import { randomWindows } from "./support/numbers.js";

const LENGTH = 5;
/** Small enough for the first order, large enough for differences of float64. */
const STEP = 1e-4;

/** Scores whose scale is not that of the heads, and a rotation that scales them too. */
const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 };
const models = [
  ["Llama", () => syntheticCheckpoint({ config: tinyLlama })],
  ["YaRN", () => syntheticCheckpoint({ config: { ...tinyLlama, rope_scaling: yarn } })],
  ["heads that turn in part", () => openFamily("gpt_neox")],
] as const;

describe("the metrics of a joint latent are squared errors of the layer's output", () => {
  it.each(models)("%s", async (_, open) => {
    const layer = await firstLayer(await open());
    const { attention, group } = layer;
    // Tempering leaves the derivative on purpose.
    const keys = localKeyMetric(group, (heads) => heads.map(() => 1));
    const values = await outputMetric(group, plainProducts);
    const cost = {
      keys: pairCosts(layer, (seen, at) => ({ ...seen, keys: seen.rotate(nudged(seen.keysBeforeRope, at)) })),
      values: numberCosts(layer, (seen, at) => ({ ...seen, values: nudged(seen.values, at) })),
    };
    const { headDim, kvHeads } = attention;
    const errors = pairMeans(
      attention,
      Float64Array.from({ length: kvHeads * headDim }, (_, column) => {
        const [head, at] = [Math.floor(column / headDim), (column % headDim) * (headDim + 1)];
        return keys[head]!.data[at]!;
      }),
    );
    for (let column = 0; column < kvHeads * headDim; column++) {
      expect(errors[column]! / cost.keys[column]!).toBeCloseTo(1, 3);
      expect(values.data[column * (kvHeads * headDim + 1)]! / cost.values[column]!).toBeCloseTo(1, 3);
    }
  });
});

interface Layer {
  readonly attention: AttentionWeights;
  readonly group: Parameters<typeof localKeyMetric>[0];
  /** What the projections read. */
  readonly x: Rows;
}

/** The first layer of a model on one window, measured as a fold does. */
async function firstLayer(checkpoint: Checkpoint): Promise<Layer> {
  const { config } = checkpoint;
  const windows = randomWindows(1, LENGTH, { vocabulary: 61 });
  const plan = planFold(config, { keep: "1/2", method: "anchored" });
  const embedding = await loadEmbedding(checkpoint);
  const provider = oneThreadProvider();
  const calibrator = await startCalibration({ config, embedding, windows, taps: plan.taps, provider });
  const block = await loadBlock(checkpoint, 0);
  const moments = await calibrator.measure(block);
  await calibrator.dispose();
  const { attention } = block;
  const context = layerContext(plan, { layer: 0, attention, moments });
  const embedded = embed(embedding, config.shape.vocabSize, Array.from(windows[0]!));
  const [group] = jointGroupsOf(plan.layers[0]!, context, []);
  return { attention, group: group!, x: applyNorm(embedded, block.attentionNorms.input!) };
}

type Nudge = (seen: Seen, at: number) => Seen;

const nudged = (rows: Rows, at: number): Rows => ({
  ...rows,
  data: rows.data.map((value, index) => (index === at ? value + STEP : value)),
});

/** For each number of a token's keys or values: squared errors of the outputs of all queries, by a nudge of every token. */
function numberCosts({ attention, x }: Layer, nudge: Nudge): Float64Array {
  const width = attention.kvHeads * attention.headDim;
  const exact = runAttention(attention, x, (seen) => seen).data;
  const costs = new Float64Array(width);
  for (let at = 0; at < LENGTH * width; at++) {
    const moved = runAttention(attention, x, (seen) => nudge(seen, at)).data;
    const square = moved.reduce((sum, value, index) => sum + (value - exact[index]!) ** 2, 0);
    costs[at % width]! += square / STEP ** 2 / LENGTH;
  }
  return costs;
}

/** The same with the mean of both members of each pair that turns. */
function pairCosts(layer: Layer, nudge: Nudge): Float64Array {
  return pairMeans(layer.attention, numberCosts(layer, nudge));
}

/** Turning moves costs between the members of a pair, and leaves their mean. */
function pairMeans({ headDim, rope }: AttentionWeights, costs: Float64Array): Float64Array {
  const half = rope!.rotaryDim / 2;
  return costs.map((cost, column) => {
    const index = column % headDim;
    if (index >= 2 * half) return cost;
    return (cost + costs[column + (index < half ? half : -half)]!) / 2;
  });
}
