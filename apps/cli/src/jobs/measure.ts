import type { StageMoments } from "@kvfold/calibration";
import { spillingHiddenStates } from "@kvfold/calibration/node";
import { type planFold as plan, planFold, type Tap } from "@kvfold/converter";
import { ATTENTION_WINDOWS, startCalibration } from "@kvfold/converter/internals";
import { type Checkpoint, loadBlock, loadEmbedding } from "@kvfold/decoder";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import { clearStale } from "../files/clear-stale.js";
import { sayInstead, UNNAMED_GRAPH } from "../files/say-instead.js";
import { withTemporaryFolder } from "../files/temporary-folder.js";
import { checkFileTarget, type Existing } from "../files/whole-file.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModel } from "../models/find-model.js";
import { locateWeights } from "../models/locate-weights.js";
import { writeMoments } from "../models/moments-files.js";
import { withCheckpoint } from "../models/open-checkpoint-folder.js";
import { type DeviceOptions, type OpenedDevice, openDevice } from "../models/open-device.js";
import { readModelText } from "../models/read-model-text.js";
import { type CalibrationOptions, describeAsText } from "../tokens/calibration-windows.js";
import type { JobContext } from "./job.js";
import { type Shard, shardName, shardWindows, type WindowRange } from "./shard.js";
import { secondsSince } from "./write-output.js";

export declare namespace measureMoments {
  interface Options extends Pick<plan.Options, "method" | "context">, DeviceOptions {
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

/**
 * Measures the moments that a method looks at, and keeps them in a file for `fold --moments`. Shards of one text add up
 * (`mergeMomentFiles`), so that machines can share the work.
 *
 * @throws {CliError} `usage` for a method that measures nothing, `insufficient-text`, `output-exists`.
 */
export async function measureMoments(
  { output, existing = "refuse", ...options }: measureMoments.Options,
  context: JobContext,
): Promise<measureMoments.Result> {
  const started = performance.now();
  const opened = await openDevice(options, context);
  const model = await locateWeights(await findModel(options.model, options.hub, context), "measuring");
  await clearStale(output, context);
  await checkFileTarget(output, existing);
  return withCheckpoint(model, context, async (checkpoint) => {
    const text = await readModelText(options.calibration, { model, checkpoint }, context.signal);
    const taps = tapsOf(options, checkpoint, text.window);
    const { shard } = options;
    const range =
      shard === undefined ? { start: 0, end: text.windows.length } : shardWindows(shard, text.windows.length);
    const layers = await measureLayers({ checkpoint, taps, windows: text.windows, range, opened }, context);
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
  { method, context }: Pick<measureMoments.Options, "method" | "context">,
  { config }: Checkpoint,
  window: number,
): readonly Tap[] {
  const planned = planFold(config, { keep: "1/2", method, context, window });
  if (planned.taps.length > 0) return planned.taps;
  throw new CliError("usage", `--method ${planned.method} measures nothing; fold with it right away`);
}

interface Measurement {
  readonly checkpoint: Checkpoint;
  readonly taps: readonly Tap[];
  /** Of the whole text. */
  readonly windows: readonly Int32Array[];
  readonly range: WindowRange;
  readonly opened: OpenedDevice;
}

function measureLayers(
  { checkpoint, taps, windows, range, opened }: Measurement,
  context: JobContext,
): Promise<readonly StageMoments[]> {
  const { config } = checkpoint;
  const own = windows.slice(range.start, range.end);
  return withTemporaryFolder(context, (folder) =>
    sayInstead([[UNNAMED_GRAPH, `a block of ${checkpoint.name}`]], async () => {
      const calibrator = await startCalibration({
        config,
        embedding: await loadEmbedding(checkpoint),
        windows: own,
        // The first windows of the text, wherever they are measured.
        attentionWindows: Math.max(0, ATTENTION_WINDOWS - range.start),
        taps,
        provider: opened.provider,
        hiddenStates: spillingHiddenStates({ folder }),
        signal: context.signal,
      });
      const layers: StageMoments[] = [];
      try {
        for (let layer = 0; layer < config.shape.layers; layer++) {
          const label = `layer ${layer + 1}/${config.shape.layers}`;
          context.onProgress({ label, done: layer, total: config.shape.layers });
          const block = await loadBlock(checkpoint, layer);
          layers.push(await calibrator.measure(block));
          await calibrator.advance(block);
        }
        return layers;
      } finally {
        await calibrator.dispose();
      }
    }),
  );
}
