import { memoryHiddenStates } from "@kvfold/calibration";
import type { BlockWeights } from "@kvfold/decoder";
import type { SessionProvider } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { fakeGpu } from "../../../runtime-node/test/fake-ort.js";
import { randomWindows } from "../../test/support/numbers.js";
import { recordedOutput } from "../../test/support/recorded-output.js";
import { packBlock } from "../journal/pack-block.js";
import { planFold } from "../plan/plan-fold.js";
import { foldModel } from "./fold-model.js";

const WINDOWS = 5;
const LENGTH = 12;
const windows = randomWindows(WINDOWS, LENGTH, { vocabulary: 61 });

/** The blocks of a healed fold, and how many windows of hidden states were kept in the memory of the CPU. */
async function foldOn(provider: SessionProvider) {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  const plan = planFold(checkpoint.config, { keep: "1/2", method: "latent", heal: "both" });
  const { output, blocks } = recordedOutput();
  let written = 0;
  const hiddenStates: typeof memoryHiddenStates = async (...size) => {
    const states = await memoryHiddenStates(...size);
    const write: typeof states.write = (index, values) => {
      if (values.length > 0) written++;
      return states.write(index, values);
    };
    return { ...states, write };
  };
  await foldModel({ checkpoint, plan, windows, provider, hiddenStates, outputs: [output] });
  return { blocks, written, config: checkpoint.config };
}

async function foldOnGpu(deviceBytes: number) {
  const gpu = fakeGpu();
  const provider = nodeProvider({ ort: gpu.ort, executionProviders: ["webgpu"], deviceBytes });
  return { gpu, ...(await foldOn(provider)) };
}

/** The largest difference of a block's weights, all of them together, by their size: `|W' - W| / |W|`. */
const largestError = (found: readonly BlockWeights[], expected: readonly BlockWeights[]): number =>
  Math.max(...expected.map((block, layer) => relativeError(numbersOf(found[layer]!), numbersOf(block))));

const numbersOf = (block: BlockWeights): readonly number[] =>
  [...packBlock(block).tensors.values()].flatMap((values) => [...values]);

const sizeOf = (values: readonly number[]): number => Math.hypot(...values);

const relativeError = (found: readonly number[], expected: readonly number[]): number =>
  sizeOf(expected.map((value, at) => value - found[at]!)) / sizeOf(expected);

describe("a fold on a GPU", () => {
  it("leaves hidden states there, as many as fit, and folds as on the CPU", async () => {
    const onCpu = await foldOn(nodeProvider());
    const windowBytes = 4 * LENGTH * onCpu.config.shape.hiddenSize;
    const [ample, scarce, none] = [
      await foldOnGpu(2 ** 30),
      await foldOnGpu(3 * WINDOWS * windowBytes),
      await foldOnGpu(0),
    ];
    // The imitated GPU computes on the CPU, but windows add up in float32 there, and so little text makes 3e-5 of that.
    expect(largestError(none.blocks, onCpu.blocks)).toBeLessThan(1e-4);
    for (const { blocks, gpu } of [ample, scarce, none]) {
      expect(blocks).toEqual(none.blocks);
      expect([gpu.held.size, gpu.sessions]).toEqual([0, 0]);
    }
    expect(ample.written).toBe(0);
    expect(none.written).toBe(onCpu.written);
    expect(scarce.written).toBeGreaterThan(0);
    expect(scarce.written).toBeLessThan(none.written);
    // A fold without room there takes each stream down as often as the CPU writes it; with room, once: the embedding, for the copy.
    const saved = none.gpu.moved.down - ample.gpu.moved.down;
    expect(saved).toBeGreaterThan((onCpu.written - 2 * WINDOWS) * windowBytes);
  });
});
