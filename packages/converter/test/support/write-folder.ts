import { openCheckpoint } from "@kvfold/decoder";
import { directoryTarget } from "@kvfold/decoder/node";
import { oneThreadProvider } from "../../../decoder/test/support/one-thread-provider.js";
import { allocateBudget, planFold, writeFiles } from "../../src/index.js";
import { type AssetModel, firstLayersSource, readWindows } from "./assets.js";

/** Layers may differ in rank, so there are two. */
const LAYERS = 2;

/**
 * Folds the first layers of a trained model into an empty folder, as the command line does, with little calibration text.
 */
export async function writeFolder(to: string, name: AssetModel, options: planFold.Options): Promise<void> {
  const source = await firstLayersSource(name, LAYERS);
  const checkpoint = await openCheckpoint(source);
  try {
    const provider = oneThreadProvider();
    const asked = planFold(checkpoint.config, options);
    const windows = await readWindows({ text: "calibration", count: 2, length: 256 });
    const plan = await allocateBudget({ checkpoint, plan: asked, provider, windows });
    const target = directoryTarget(to);
    await writeFiles({ checkpoint, plan, source, target, windows, provider, record: () => ({}) });
  } finally {
    await checkpoint.close();
  }
}
