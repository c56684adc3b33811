import { memoryHiddenStates, type StageMoments } from "@kvfold/calibration";
import { loadBlock, loadEmbedding } from "@kvfold/decoder";
import { HIDDEN_IN } from "@kvfold/decoder/graph";
import { nodeProvider } from "@kvfold/runtime-node";
import { expect, it } from "vitest";
import { openFamily } from "../../../decoder/test/support/families.js";
import { randomWindows } from "../../test/support/numbers.js";
import { blockGraph, RESIDUAL_OUT } from "../graph/calibration-graphs.js";
import { planFold } from "../plan/plan-fold.js";
import { startCalibration } from "./calibrator.js";
import { copyStates } from "./copy-states.js";
import { foldModel } from "./fold-model.js";
import { createWindowRunner } from "./window-runner.js";

const windows = randomWindows(3, 12, { vocabulary: 96 });

it.each(["llama", "phi", "gemma2"])("measures what a fold of %s measures, to the bit", async (family) => {
  const checkpoint = await openFamily(family);
  const { config } = checkpoint;
  const plan = planFold(config, { keep: "1/2", method: "latent", heal: "none" });
  const provider = nodeProvider();
  const folded: StageMoments[] = [];
  const onMoments = (layer: number, moments: StageMoments) => {
    folded[layer] = moments;
  };
  await foldModel({ checkpoint, plan, provider, windows, outputs: [], onMoments });
  const embedding = await loadEmbedding(checkpoint);
  const calibrator = await startCalibration({ config, embedding, windows, taps: plan.taps, provider });
  const measured: StageMoments[] = [];
  for (let layer = 0; layer < config.shape.layers; layer++) {
    const block = await loadBlock(checkpoint, layer);
    measured.push(await calibrator.measure(block));
    await calibrator.advance(block);
  }
  await calibrator.dispose();
  expect(measured).toEqual(folded);
});

it.each(["llama", "phi"])(
  "has the stream between the halves of a block of %s once it is measured",
  async (family) => {
    const checkpoint = await openFamily(family);
    const { config } = checkpoint;
    const [block, embedding] = [await loadBlock(checkpoint, 0), await loadEmbedding(checkpoint)];
    const provider = nodeProvider();
    const taps = planFold(config, { keep: "1/2", method: "latent" }).taps;
    const calibrator = await startCalibration({ config, embedding, windows, taps, provider });
    const [input, expected] = [await memoryHiddenStates(3, 0), await memoryHiddenStates(3, 0)];
    await copyStates(calibrator.hidden, input);
    await calibrator.measure(block);
    const window = { config, weights: block, length: 12 };
    await createWindowRunner({ windows, provider }).run(blockGraph(window, [], [RESIDUAL_OUT]), {
      inputs: { [HIDDEN_IN]: input },
      outputs: { [RESIDUAL_OUT]: expected },
    });
    for (let index = 0; index < 3; index++)
      expect(await calibrator.between.read(index)).toEqual(await expected.read(index));
    await calibrator.dispose();
  },
);
