import type { StageMoments } from "@kvfold/calibration";
import { loadBlock, loadEmbedding } from "@kvfold/decoder";
import { nodeProvider } from "@kvfold/runtime-node";
import { expect, it } from "vitest";
import { openFamily } from "../../../decoder/test/support/families.js";
import { randomWindows } from "../../test/support/numbers.js";
import { planFold } from "../plan/plan-fold.js";
import { startCalibration } from "./calibrator.js";
import { foldModel } from "./fold-model.js";

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
