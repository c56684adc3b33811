import { openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { oneThreadProvider } from "../../../decoder/test/support/one-thread-provider.js";
import { planFold } from "../../src/index.js";
import { writeModel } from "../../src/node.js";
import { type AssetModel, modelFolder, readWindows } from "./assets.js";

/** Folds a trained model into an empty folder, as the command line does, with little calibration text. */
export async function writeFolder(to: string, name: AssetModel, options: planFold.Options): Promise<void> {
  const from = modelFolder(name);
  const checkpoint = await openCheckpoint(await directorySource(from));
  try {
    const plan = planFold(checkpoint.config, options);
    const windows = await readWindows({ text: "calibration", count: 2, length: 256 });
    await writeModel({
      checkpoint,
      plan,
      from,
      to,
      windows,
      provider: oneThreadProvider(),
      record: () => ({}),
    });
  } finally {
    await checkpoint.close();
  }
}
