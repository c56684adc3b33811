import { basename, dirname, join, resolve } from "node:path";
import { type Checkpoint, openCheckpoint } from "@kvfold/decoder";
import { directorySource, directoryTarget } from "@kvfold/decoder/node";
import type { AbortSignalLike, SessionProvider } from "@kvfold/runtime";
import { type TrainingProgress, type TrainingReport, TuningError } from "@kvfold/tuning";
import type { FoldPlan } from "../plan/fold-plan.js";
import type { AdapterPlace } from "../tune/adapters-folder.js";
import { type FoldedModel, openFolded } from "../tune/open-folded.js";
import { tuneFiles } from "../tune/tune-files.js";
import type { TuneSettings } from "../tune/tune-model.js";
import { type GivenSettings, tuneSettings } from "../tune/tune-settings.js";
import type { TextSource } from "./calibration-text.js";
import { defaultProvider } from "./default-provider.js";
import { hashCheckpoint, hashWindows } from "./fold-identity.js";
import { hashFolder } from "./hash-folder.js";
import type { createPendingFolder } from "./model-folder.js";
import { requireApart } from "./require-apart.js";
import { openTuningState, type TuningStateFile } from "./tuning-state-file.js";
import { readTuningText, type TuningText } from "./tuning-text.js";
import { withPendingFolder } from "./with-pending-folder.js";

export declare namespace tune {
  interface Options extends GivenSettings {
    /** A folder that a fold wrote. */
    readonly folded: string;
    /** The checkpoint that was folded. */
    readonly original: string;
    /** Folder of the tuned model. It appears complete or not at all. */
    readonly to: string;
    /** What to do when there is something at `to`; `refuse` without it. */
    readonly existing?: createPendingFolder.Options["existing"];
    /** Text like that which the model is for: as `fold` takes it. */
    readonly text?: TextSource | readonly TextSource[] | undefined;
    /** Tokens of a window; without it 1024, or the model's context where that is shorter. */
    readonly windowLength?: number | undefined;
    /** Token ids in place of text: windows of one length, whose last token is only predicted. */
    readonly windows?: readonly Int32Array[] | undefined;
    /**
     * What becomes of the adapters: `merge` adds them to the weights; `keep` writes them into the folder `adapters`, in the
     * form of PEFT, beside the model as it was folded. `merge` without it. A further tuning takes both together.
     */
    readonly adapters?: AdapterPlace | undefined;
    /** Windows at the end of the text that are not learned from, but decide when to stop; at most 8 without it. */
    readonly heldOut?: number | undefined;
    /** Keeps what a stopped run would go on from beside `to`, and goes on from what an earlier one kept. */
    readonly resume?: boolean | undefined;
    /** Goes into `kvfold.json` and the state. */
    readonly version?: string | undefined;
    /** Runs the models; ONNX Runtime for Node (`@kvfold/runtime-node`) without it. */
    readonly provider?: SessionProvider | undefined;
    /** Bytes of weights that stay in memory between uses; 1 GiB without it, 0 for one block at a time. */
    readonly residentBytes?: number | undefined;
    /** Bytes of the original's predictions (its last hidden states) that are kept for windows that come again; 1 GiB without it. */
    readonly originalBytes?: number | undefined;
    readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
    /** Told of the folder that is written to until the output is complete. */
    readonly onTemporary?: ((path: string) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
  interface Report extends TrainingReport {
    readonly plan: FoldPlan;
    readonly settings: TuneSettings;
    /** Windows that were learned from, and that were not. */
    readonly windows: number;
    readonly heldOutWindows: number;
  }
}

/**
 * Tunes a folded model from one folder into another: low-rank adapters are trained to predict what the original predicts
 * (or the text itself), and are added to the weights. Formats and types are those of the folded model.
 *
 * Numerics: float32; a resumed run writes the bytes of one that never stopped, on the same machine with as many threads.
 *
 * @throws {ConverterError} `unsupported-model` for a folder that is no fold, or one of another original; `invalid-option`,
 * `insufficient-data`, `output-exists`; `unusable-journal` for the state of another tuning.
 * @throws {TuningError} `diverged` when the learning rate is too high.
 * @throws {RuntimeError} `aborted` when `signal` fires; with `resume` the state is kept.
 * @example
 * ```ts no-run
 * import { tune } from "@kvfold/converter/node";
 *
 * await tune({ folded: "model-quarter", original: "model", to: "model-tuned", text: "book.txt" });
 * ```
 */
export async function tune(options: tune.Options): Promise<tune.Report> {
  const { folded, original, to } = options;
  const settings = tuneSettings(options);
  for (const model of [original, folded]) await requireApart(model, to);
  const checkpoint = await openCheckpoint(await directorySource(original));
  try {
    const model = await openFolded(await directorySource(folded), checkpoint);
    try {
      return await tuneOpened(options, { settings, checkpoint, model });
    } finally {
      await model.close();
    }
  } finally {
    await checkpoint.close();
  }
}

interface Opened {
  readonly settings: TuneSettings;
  readonly checkpoint: Checkpoint;
  readonly model: FoldedModel;
}

async function tuneOpened(options: tune.Options, opened: Opened): Promise<tune.Report> {
  const { to, existing = "refuse", resume = false, onTemporary, signal } = options;
  const text = await readTuningText(options, opened.checkpoint.config);
  const { state, report } = await withPendingFolder(to, { existing, onTemporary, signal }, async (path) => {
    const state = resume ? await openState(options, opened, text) : undefined;
    const report = await keepingState(state, () => tuneInto(path, options, { ...opened, text, state }));
    return { state, report };
  });
  await state?.remove();
  return report;
}

/** Where the state of a tuning to `to` is kept: beside it, so that the same command finds it again. */
export function tuningStatePath(to: string): string {
  const place = resolve(to);
  return join(dirname(place), `.${basename(place)}.kvfold-tuning`);
}

/** Saves the state when the work is stopped. One that diverged would only diverge again. */
async function keepingState<T>(state: TuningStateFile | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!TuningError.isInstance(error)) await state?.save();
    throw error;
  }
}

async function openState(
  { folded, to, version = "none", signal }: tune.Options,
  { settings, checkpoint }: Opened,
  { windows, heldOut }: TuningText,
): Promise<TuningStateFile> {
  const shown = Object.entries(settings).map(([name, value]) => [name, String(value)]);
  return openTuningState(tuningStatePath(to), {
    "version of kvfold": version,
    ...Object.fromEntries(shown),
    checkpoint: await hashCheckpoint(checkpoint, signal),
    "folded model": await hashFolder(folded, signal),
    text: hashWindows([...windows, ...heldOut]),
    "held-out windows": String(heldOut.length),
  });
}

async function tuneInto(
  path: string,
  options: tune.Options,
  {
    settings,
    checkpoint,
    model,
    text,
    state,
  }: Opened & { readonly text: TuningText; readonly state: TuningStateFile | undefined },
): Promise<tune.Report> {
  const { onState, saved } = savingState(state);
  const report = await tuneFiles({
    ...options,
    folded: model,
    original: checkpoint,
    settings,
    windows: text.windows,
    heldOut: text.heldOut,
    text: { ...text.summary, sha256: hashWindows([...text.windows, ...text.heldOut]) },
    provider: options.provider ?? (await defaultProvider()),
    source: await directorySource(options.original),
    target: directoryTarget(path),
    saved,
    onState,
  });
  const counts = { windows: text.windows.length, heldOutWindows: text.heldOut.length };
  return { ...report, ...counts, plan: model.plan, settings };
}

const savingState = (state: TuningStateFile | undefined): Pick<tuneFiles.Options, "onState" | "saved"> =>
  state === undefined
    ? {}
    : { saved: state.saved, onState: (reached, adapters) => state.note(reached, adapters) };
