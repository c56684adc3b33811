import type { FoldPlan, TrainingProgress } from "@kvfold/converter";
import { tuneWindows } from "@kvfold/converter/internals";
import { tune } from "@kvfold/converter/node";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import { clearStale } from "../files/clear-stale.js";
import { checkModelIsElsewhere, checkOutputFolder } from "../files/output-folder.js";
import { sayInstead, UNNAMED_GRAPH } from "../files/say-instead.js";
import type { Existing } from "../files/whole-file.js";
import { checkIsCheckpoint, checkpointVocabulary, withCheckpoint } from "../models/open-checkpoint-folder.js";
import { type DeviceOptions, openDevice } from "../models/open-device.js";
import { formatSeconds } from "../render/format.js";
import { type CalibrationOptions, readPredictedText } from "../tokens/calibration-windows.js";
import { checkWindow } from "../tokens/check-window.js";
import { readVersion } from "../version.js";
import type { JobContext } from "./job.js";
import { calibrationOptions, deviceOptions, type OptionNames, requireKnown } from "./known-options.js";
import { secondsSince } from "./write-output.js";

type Settings = Pick<
  tune.Options,
  | "rank"
  | "alpha"
  | "parts"
  | "adapters"
  | "loss"
  | "steps"
  | "windowsPerStep"
  | "learningRate"
  | "warmUp"
  | "heldOut"
  | "seed"
>;

export declare namespace tuneFolded {
  interface Options extends DeviceOptions, Settings {
    /** A folder that a fold wrote. */
    readonly folded: string;
    /** The checkpoint that was folded. */
    readonly original: string;
    readonly output: string;
    readonly existing?: Existing;
    readonly text: CalibrationOptions;
    readonly resume?: boolean;
  }
  interface Result {
    readonly output: string;
    readonly device: ExecutionProvider;
    readonly plan: FoldPlan;
    readonly seconds: number;
    /** Peak resident memory of the process. */
    readonly peakBytes: number;
    readonly steps: number;
    readonly kept: number;
    readonly stoppedEarly: boolean;
    /** Losses in nats per token: of the first and the last step, and held-out ones before and at the step that was kept. */
    readonly losses: readonly [number, number];
    readonly heldOut: readonly [number, number] | undefined;
    readonly windows: number;
  }
}

const OPTIONS: OptionNames<tuneFolded.Options> = {
  ...deviceOptions,
  folded: true,
  original: true,
  output: true,
  existing: true,
  resume: true,
  seed: true,
  loss: true,
  rank: true,
  alpha: true,
  parts: true,
  adapters: true,
  steps: true,
  windowsPerStep: true,
  learningRate: true,
  warmUp: true,
  heldOut: true,
  text: calibrationOptions,
};

/**
 * Tunes a folded model into a folder that appears complete or not at all.
 *
 * @throws {CliError} `output-exists` when something would be lost; and the errors of `tune`.
 */
export async function tuneFolded(
  options: tuneFolded.Options,
  context: JobContext,
): Promise<tuneFolded.Result> {
  requireKnown("tuneFolded", options, OPTIONS);
  const started = performance.now();
  const { folded, original, output, existing = "refuse" } = options;
  const { device, provider } = await openDevice({ ...options, gpuBuffers: "all" }, context);
  await checkIsCheckpoint(original, "tuning");
  for (const model of [original, folded]) await checkModelIsElsewhere(output, model);
  await clearStale(output, context);
  await checkOutputFolder(output, existing);
  const windows = await readWindows(options, context);
  const blocks = [[UNNAMED_GRAPH, `a block of ${original} or ${folded}`]] as const;
  const report = await sayInstead(blocks, () =>
    tune({
      ...options,
      to: output,
      existing,
      text: undefined,
      windows,
      provider,
      version: readVersion(),
      onProgress: showProgress(context, started),
      onTemporary: context.onTemporary,
      signal: context.signal,
    }),
  );
  return { ...resultOf(report), output, device, seconds: secondsSince(started) };
}

/** What was trained until now and how long the rest takes, in the label. */
function showProgress({ onProgress }: JobContext, started: number) {
  let first: { readonly step: number; readonly at: number } | undefined;
  return ({ step, steps, loss, heldOut }: TrainingProgress) => {
    const now = performance.now();
    const each = first === undefined ? now - started : (now - first.at) / (step - first.step);
    first ??= { step, at: now };
    const left = formatSeconds((each * (steps - step)) / 1000);
    const held = heldOut === undefined ? "" : `, held out ${heldOut.toFixed(4)}`;
    onProgress({
      label: `step ${step}/${steps}: loss ${loss.toFixed(4)}${held}, ${left} left`,
      done: step,
      total: steps,
    });
  };
}

async function readWindows(options: tuneFolded.Options, context: JobContext): Promise<readonly Int32Array[]> {
  const { original, text } = options;
  return withCheckpoint({ path: original }, context, async (checkpoint) => {
    const { maxPositions } = checkpoint.config.shape;
    checkWindow(text.window, maxPositions, checkpoint.name);
    const vocabulary = await checkpointVocabulary(original, checkpoint);
    const limits = { maxPositions, mostWindows: tuneWindows(options), signal: context.signal };
    return (await readPredictedText(text, vocabulary, limits)).windows;
  });
}

function resultOf({ plan, steps, kept, stoppedEarly, losses, heldOut, windows }: tune.Report) {
  const keptLoss = heldOut.find(({ step }) => step === kept)?.loss;
  return {
    plan,
    steps,
    kept,
    stoppedEarly,
    losses: [losses[0]!, losses.at(-1)!] as const,
    heldOut: keptLoss === undefined ? undefined : ([heldOut[0]!.loss, keptLoss] as const),
    windows,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}
