import { checkpointParts, type FolderSource, type ModelTarget, streamParts } from "@kvfold/decoder";
import type { TrainingReport } from "@kvfold/tuning";
import { writeDescription, writeFormats } from "../output/write-files.js";
import { type AdapterPlace, writeAdapters } from "./adapters-folder.js";
import { tuneModel } from "./tune-model.js";

export declare namespace tuneFiles {
  interface Options extends tuneModel.Options {
    /** The original's folder, for tokenizer files. */
    readonly source: FolderSource;
    /** An empty folder to write to. */
    readonly target: ModelTarget;
    /** `merge` without it. */
    readonly adapters?: AdapterPlace | undefined;
    /** What `kvfold.json` says of the text. */
    readonly text: Readonly<Record<string, unknown>>;
  }
}

/**
 * Tunes a folded model into the files of a folder, in the formats and types of the fold.
 *
 * @throws as `tuneModel`.
 */
export async function tuneFiles(options: tuneFiles.Options): Promise<TrainingReport> {
  const { folded, original, settings, source, target, adapters: place = "merge", provider, signal } = options;
  const { report, block, adapters, scale } = await tuneModel(options);
  const places = { checkpoint: original, plan: folded.plan, source, target };
  // Four bits are fitted to the text that was learned from.
  const windows = options.windows.map((window) => window.subarray(0, -1)).slice(0, FITTED_WINDOWS);
  const written = place === "merge" ? block : (layer: number) => folded.block(layer);
  await writeFormats({ ...places, provider, windows, signal }, (outputs) =>
    streamParts({ ...checkpointParts(original), block: written }, outputs),
  );
  if (place === "keep") await writeAdapters(target, { layers: adapters, scale }, settings);
  const { losses: _, ...figures } = report;
  const tuning = {
    ...settings,
    ...figures,
    adapters: place,
    text: options.text,
    loss: lossChange(report),
  };
  await writeDescription(places, { ...folded.fields, tuning });
  return report;
}

const FITTED_WINDOWS = 128;

/** The loss before the tuning and of what was kept, in nats per token: on held-out windows where there are any. */
function lossChange({ kept, losses, heldOut }: TrainingReport): Readonly<Record<string, unknown>> {
  const keptLoss = heldOut.find(({ step }) => step === kept)?.loss;
  if (keptLoss === undefined) return { of: "steps", before: losses[0], after: losses.at(-1) };
  return { of: "held-out windows", before: heldOut[0]!.loss, after: keptLoss };
}
