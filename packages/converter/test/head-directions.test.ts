import { soFar } from "@kvfold/calibration";
import type { BlockWeights, Checkpoint } from "@kvfold/decoder";
import { fromFloat32, multiply, plainProducts } from "@kvfold/linalg";
import { gaussians, Tensor } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import {
  syntheticCheckpoint,
  tinyBloom,
  tinyLlama,
} from "../../decoder/test/reference/synthetic-checkpoint.js";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { narrowOutput } from "../src/fold/head-directions.js";
import type { HeadDirections } from "../src/graph/emit-decoded-attention.js";
import { ATTENDED_OUT, attentionRefitGraph } from "../src/graph/healing-graphs.js";
import { foldModel, planFold } from "../src/index.js";
import { largestDifference, randomWindows } from "./support/numbers.js";

const LENGTH = 20;

/** The first block of a fold that shares a wide latent among all heads. */
async function foldedBlock(checkpoint: Checkpoint): Promise<BlockWeights> {
  const blocks: BlockWeights[] = [];
  const addBlock = async (block: BlockWeights) => void blocks.push(block);
  const nothing = async () => {};
  await foldModel({
    checkpoint,
    plan: planFold(checkpoint.config, { keep: "1/2", method: "latent", heal: "none" }),
    outputs: [{ begin: nothing, addBlock, finish: nothing, abandon: nothing }],
    provider: oneThreadProvider(),
    windows: randomWindows(4, 40, { vocabulary: 61 }),
  });
  return blocks[0]!;
}

/** What the heads give for random hidden states, `[S, width]`. */
async function headOutputs(checkpoint: Checkpoint, weights: BlockWeights, directions?: HeadDirections) {
  const { config } = checkpoint;
  const session = await oneThreadProvider().createSession(
    attentionRefitGraph({ config, weights, length: LENGTH }, { directions, hasOffset: true }).model,
  );
  const next = gaussians(2);
  const { hiddenSize } = config.shape;
  const states = Float32Array.from({ length: LENGTH * hiddenSize }, () => next());
  const stream = new Tensor("float32", states, [1, LENGTH, hiddenSize]);
  const sums = session.inputs
    .filter(({ name }) => name.endsWith(soFar("")))
    .map(({ name, shape: [size] }) => {
      // A sum so far may be a single zero; a shift has its width.
      const zeros = new Float32Array(typeof size === "number" ? size : 1);
      return [name, new Tensor("float32", zeros, [zeros.length])];
    });
  const feeds = { hidden_in: stream, target_in: stream, ...Object.fromEntries(sums) };
  const results = await session.run(feeds, [ATTENDED_OUT]);
  await session.dispose();
  const width = weights.attention.output.inputs;
  return fromFloat32(LENGTH, width, results[ATTENDED_OUT]!.data as Float32Array);
}

describe("head outputs in fewer directions", () => {
  it.each([
    ["a latent of rotated keys", tinyLlama],
    ["keys without rotation", tinyBloom],
  ])("are those of the folded width, projected: %s", async (_, config) => {
    const checkpoint = await syntheticCheckpoint({ config });
    const block = await foldedBlock(checkpoint);
    const { attention } = block;
    const { heads, headDim, values } = attention;
    expect(values.size).toBeGreaterThan(headDim + 1);
    const narrow = await narrowOutput(attention, headDim + 1, plainProducts);
    const wide = await headOutputs(checkpoint, block);
    const narrowBlock = { ...block, attention: { ...attention, output: narrow.output } };
    const inDirections = await headOutputs(checkpoint, narrowBlock, narrow.directions);
    const { size, matrices } = narrow.directions;
    for (let head = 0; head < heads; head++) {
      const own = columnsOf(wide, head * values.size, values.size);
      const directions = matrices.subarray(head * values.size * size, (head + 1) * values.size * size);
      const projected = multiply(own, fromFloat32(values.size, size, directions));
      const found = columnsOf(inDirections, head * size, size);
      // Float32 attention either way, of numbers of about one.
      expect(largestDifference(found.data, projected.data)).toBeLessThan(1e-5);
    }
  });
});

function columnsOf({ rows, cols, data }: ReturnType<typeof fromFloat32>, start: number, count: number) {
  const part = new Float32Array(rows * count);
  for (let row = 0; row < rows; row++)
    part.set(data.subarray(row * cols + start, row * cols + start + count), row * count);
  return fromFloat32(rows, count, part);
}
