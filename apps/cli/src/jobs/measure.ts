import { type Shard, type StageMoments, shardName, shardWindows } from "@kvfold/calibration";
import { type FoldPlan, type Metric, planFold, type Tap } from "@kvfold/converter";
import { planLossMoments } from "@kvfold/converter/internals";
import type { Checkpoint } from "@kvfold/decoder";
import type { SessionProvider } from "@kvfold/runtime";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import { clearStale } from "../files/clear-stale.js";
import { sayInstead, UNNAMED_GRAPH } from "../files/say-instead.js";
import { checkFileTarget, type Existing } from "../files/whole-file.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModel } from "../models/find-model.js";
import { locateWeights } from "../models/locate-weights.js";
import { writeMoments } from "../models/moments-files.js";
import { withCheckpoint } from "../models/open-checkpoint-folder.js";
import { type DeviceOptions, openDevice } from "../models/open-device.js";
import { readModelText } from "../models/read-model-text.js";
import { type CalibrationOptions, describeAsText } from "../tokens/calibration-windows.js";
import type { JobContext } from "./job.js";
import { calibrationOptions, deviceOptions, type OptionNames, requireKnown } from "./known-options.js";
import { measureLayers } from "./measure-layers.js";
import { secondsSince } from "./write-output.js";

export declare namespace measureMoments {
  interface Options extends DeviceOptions {
    readonly method?: string | undefined;
    /** With `loss`, gradients of the loss are measured, too. */
    readonly metric?: Metric | undefined;
    /** Of the tokens that metric `loss` draws from the model's predictions; 0 unless given. */
    readonly seed?: number | undefined;
    /** The model's folder or graph, or with `hub` a model there. */
    readonly model: string;
    readonly hub?: HubSettings | undefined;
    readonly calibration: CalibrationOptions;
    /** The part of the windows to measure; all of them without it. */
    readonly shard?: Shard | undefined;
    /** The file to write. */
    readonly output: string;
    readonly existing?: Existing;
  }
  interface Result {
    readonly output: string;
    readonly device: ExecutionProvider;
    readonly shard: Shard | undefined;
    /** Windows that were measured, and those of the whole text. */
    readonly windows: number;
    readonly totalWindows: number;
    /** What was measured. */
    readonly taps: readonly Tap[];
    readonly seconds: number;
  }
}

const OPTIONS: OptionNames<measureMoments.Options> = {
  ...deviceOptions,
  method: true,
  metric: true,
  seed: true,
  model: true,
  hub: true,
  shard: true,
  output: true,
  existing: true,
  calibration: calibrationOptions,
};

/**
 * Measures the moments that a method looks at, and keeps them in a file for `fold --moments`. Shards of one text add up
 * (`mergeMomentFiles`), so that machines can share the work.
 *
 * @throws {CliError} `usage` for a method that measures nothing, `insufficient-text`, `output-exists`.
 */
export async function measureMoments(
  given: measureMoments.Options,
  context: JobContext,
): Promise<measureMoments.Result> {
  const { output, existing = "refuse", ...options } = requireKnown("measureMoments", given, OPTIONS);
  const started = performance.now();
  const opened = await openDevice(options, context);
  const model = await locateWeights(await findModel(options.model, options.hub, context), "measuring");
  await clearStale(output, context);
  await checkFileTarget(output, existing);
  return withCheckpoint(model, context, async (checkpoint) => {
    const text = await readModelText(options.calibration, { model, checkpoint }, context.signal);
    const plan = planOf(options, checkpoint, text.window);
    tellUnused(options, context);
    const { shard } = options;
    const totalWindows = text.windows.length;
    const range = shard === undefined ? { start: 0, end: totalWindows } : shardWindows(shard, totalWindows);
    const windows = text.windows.slice(range.start, range.end);
    const part = { checkpoint, plan, windows, first: range.start, provider: opened.provider };
    const layers = await measurePart(part, context);
    const { taps } = plan;
    const description = {
      model: model.title,
      ...describeAsText(text),
      measured: taps.join(" "),
      ...(plan.metric === "loss" ? { seed: String(plan.seed) } : {}),
      ...(shard === undefined ? {} : { shard: shardName(shard) }),
    };
    await writeMoments(output, layers, { description, existing });
    const { device } = opened;
    const seconds = secondsSince(started);
    return { output, device, shard, windows: windows.length, totalWindows, taps, seconds };
  });
}

/** What a method looks at does not depend on how much of the cache it keeps. */
function planOf(
  { method, metric, seed = 0 }: Pick<measureMoments.Options, "method" | "metric" | "seed">,
  { config }: Checkpoint,
  window: number,
): FoldPlan {
  const planned = planFold(config, { keep: "1/2", method, metric, seed, window });
  if (planned.taps.length > 0) return planned;
  throw new CliError("usage", `--method ${planned.method} measures nothing; fold with it right away`);
}

function tellUnused(
  { metric, seed = 0 }: Pick<measureMoments.Options, "metric" | "seed">,
  { onNotice }: JobContext,
): void {
  if (seed !== 0 && metric !== "loss")
    onNotice(`seed ${seed} is not used: only metric loss draws random numbers`);
}

/** Windows of a text from `first` on, and what measures them. */
interface TextPart {
  readonly checkpoint: Checkpoint;
  readonly plan: FoldPlan;
  readonly windows: readonly Int32Array[];
  readonly first: number;
  readonly provider: SessionProvider;
}

/** Attention and gradients are measured on the first windows of the text, whichever part these are in. */
async function measurePart(part: TextPart, context: JobContext): Promise<readonly StageMoments[]> {
  const { checkpoint, plan } = part;
  const { layers: total } = checkpoint.config.shape;
  const gradients = await measureGradients(part, context);
  return measureLayers(
    {
      ...part,
      taps: plan.taps,
      onLayer: (layer) => context.onProgress({ label: `layer ${layer + 1}/${total}`, done: layer, total }),
      keep: (moments, layer) => ({ ...moments, ...gradients?.[layer] }),
    },
    context,
  );
}

const measureGradients = (part: TextPart, { onProgress, signal }: JobContext) =>
  sayInstead([[UNNAMED_GRAPH, `a block of ${part.checkpoint.name}`]], () =>
    planLossMoments({
      ...part,
      onGradients: (gradients) => onProgress({ label: "gradients", ...gradients }),
      signal,
    }),
  );
