import { tokenWindows } from "@kvfold/calibration";
import { ConverterError, type TrainingProgress } from "@kvfold/converter";
import { openFolded, tuneFiles, tuneSettings, tuneWindows } from "@kvfold/converter/internals";
import { type Checkpoint, openCheckpoint } from "@kvfold/decoder";
import type { AbortSignalLike, SessionProvider } from "@kvfold/runtime";
import { blobFolder } from "../models/blob-folder.js";
import { memoryTarget } from "../models/memory-target.js";
import { documentTokens, readTokenizer } from "../models/text-tokenizer.js";
import type { TuneRequest, TuneResult } from "./tune-request.js";

/** Small, since WebAssembly takes half a second for a window; held-out losses of so few steps still fall. */
const [WINDOW, WINDOWS_PER_STEP, HELD_OUT] = [256, 8, 4];
/** With a longer warm-up than `tuneSettings` takes, the first steps do not lose what the others have to win back. */
const [RANK, LEARNING_RATE, WARM_UP] = [32, 5e-4, 1 / 4];
/** Held-out losses while the training goes on. */
const MEASURES = 5;

export interface TuneWatcher {
  readonly onProgress: (progress: TrainingProgress) => void;
  /** Ends the tuning with the best so far. */
  readonly enough: AbortSignalLike;
}

/**
 * Tunes a fold to predict what its original predicts, all in memory.
 *
 * @throws {ConverterError} `insufficient-data` for a text that is too short.
 */
export async function tuneFold(
  request: TuneRequest,
  provider: SessionProvider,
  { onProgress, enough }: TuneWatcher,
): Promise<TuneResult> {
  const started = performance.now();
  const source = blobFolder(request.name, request.files);
  const original = await openCheckpoint(source);
  try {
    const folded = await openFolded(blobFolder(`the fold of ${request.name}`, request.folded), original);
    try {
      const settings = settingsOf(request);
      const text = await tuningText(request, original);
      const { target, files } = memoryTarget();
      const options = { folded, original, settings, ...text, provider, source, target };
      const report = await tuneFiles({ ...options, onProgress, onState: nextTask, enough });
      const { kept, heldOut } = report;
      const after = heldOut.find(({ step }) => step === kept)!.loss;
      return {
        files: files(),
        plan: folded.plan,
        seconds: (performance.now() - started) / 1000,
        kept,
        heldOut: [heldOut[0]!.loss, after],
      };
    } finally {
      await folded.close();
    }
  } finally {
    await original.close();
  }
}

const settingsOf = ({ steps }: TuneRequest) =>
  tuneSettings({
    steps,
    windowsPerStep: WINDOWS_PER_STEP,
    rank: RANK,
    learningRate: LEARNING_RATE,
    warmUp: Math.ceil(WARM_UP * steps),
    evaluateEvery: Math.ceil(steps / MEASURES),
  });

/** The last windows are held out: fewer of a short text, but one at least. */
async function tuningText({ files, text, steps }: TuneRequest, { config }: Pick<Checkpoint, "config">) {
  const window = Math.min(WINDOW, config.shape.maxPositions);
  const most = tuneWindows({ steps, windowsPerStep: WINDOWS_PER_STEP, heldOut: HELD_OUT });
  const tokenizer = await readTokenizer(files);
  const tokens = documentTokens(tokenizer, text, most * (window + 1));
  const length = window + 1;
  const all = tokenWindows(tokens, { length, bosToken: tokenizer.addedBos, source: "the tuning text" });
  if (all.length < 2)
    throw new ConverterError(
      "insufficient-data",
      `the tuning text has ${tokens.length} tokens; give at least ${2 * length}, or none for the book that comes with the page`,
    );
  const windows = all.slice(0, most);
  const heldOut = Math.max(1, Math.min(HELD_OUT, Math.floor(windows.length / 4)));
  return {
    windows: windows.slice(0, -heldOut),
    heldOut: windows.slice(-heldOut),
    text: { windows: windows.length, window },
  };
}

/** ONNX Runtime runs WebAssembly without returning to the event loop: the wish to stop is read between two steps. */
const nextTask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
