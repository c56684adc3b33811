import { planFold, type Tap } from "@kvfold/converter";
import { ATTENTION_WINDOWS } from "@kvfold/converter/internals";
import type { Checkpoint } from "@kvfold/decoder";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import { clearStale } from "../files/clear-stale.js";
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
import { type Shard, shardName, shardWindows } from "./shard.js";
import { secondsSince } from "./write-output.js";

export declare namespace measureMoments {
  interface Options extends DeviceOptions {
    readonly method?: string | undefined;
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
    const taps = tapsOf(options.method, checkpoint, text.window);
    const { shard } = options;
    const range =
      shard === undefined ? { start: 0, end: text.windows.length } : shardWindows(shard, text.windows.length);
    const { layers: total } = checkpoint.config.shape;
    const layers = await measureLayers(
      {
        checkpoint,
        taps,
        windows: text.windows.slice(range.start, range.end),
        // The first windows of the text, wherever they are measured.
        attentionWindows: Math.max(0, ATTENTION_WINDOWS - range.start),
        provider: opened.provider,
        onLayer: (layer) => context.onProgress({ label: `layer ${layer + 1}/${total}`, done: layer, total }),
        keep: (moments) => moments,
      },
      context,
    );
    const part = shard === undefined ? {} : { shard: shardName(shard) };
    const description = {
      model: model.title,
      ...describeAsText(text),
      measured: taps.join(" "),
      ...part,
    };
    await writeMoments(output, layers, { description, existing });
    const windows = range.end - range.start;
    const { device } = opened;
    const totalWindows = text.windows.length;
    return { output, device, shard, windows, totalWindows, taps, seconds: secondsSince(started) };
  });
}

/** What a method looks at does not depend on how much of the cache it keeps. */
function tapsOf(
  method: measureMoments.Options["method"],
  { config }: Checkpoint,
  window: number,
): readonly Tap[] {
  const planned = planFold(config, { keep: "1/2", method, window });
  if (planned.taps.length > 0) return planned.taps;
  throw new CliError("usage", `--method ${planned.method} measures nothing; fold with it right away`);
}
