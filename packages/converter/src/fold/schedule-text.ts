import type { ModelConfig } from "@kvfold/decoder";
import type { WindowEmbedding } from "@kvfold/decoder/graph";
import type { FoldJournal } from "../journal/fold-journal.js";
import { copyStates } from "./copy-states.js";
import { embedWindows } from "./embed-windows.js";
import { type LiveStreams, liveStreams } from "./live-streams.js";
import { type FoldSchedule, stepsOf } from "./schedule.js";
import type { Stream } from "./stream.js";
import { createWindowRunner, type WindowRun, type WindowRunner } from "./window-runner.js";

/** What the graphs of a schedule run on: the calibration text, as streams of hidden states. */
export interface ScheduleText {
  readonly runner: WindowRunner;
  readonly streams: LiveStreams;
}

/** What the streams that a schedule starts from are filled with. */
interface StreamSource {
  readonly config: ModelConfig;
  readonly embedding: WindowEmbedding;
  /** Holds the streams after the last finished block; not looked at where none is finished. */
  readonly journal: FoldJournal | undefined;
}

/**
 * Fills the streams that a schedule starts from and hands them to `work`. All streams are disposed afterwards.
 */
export async function withText<T>(
  schedule: FoldSchedule,
  run: WindowRun,
  source: StreamSource,
  work: (text: ScheduleText) => Promise<T>,
): Promise<T> {
  const runner = createWindowRunner(run);
  const streams = liveStreams(stepsOf(schedule), (width) => runner.createStream(width));
  try {
    await fillGiven(schedule.given, { runner, streams }, source);
    return await work({ runner, streams });
  } finally {
    await streams.dispose();
  }
}

/** All given streams are before the same block: both models start from one embedding. */
async function fillGiven(
  given: readonly Stream[],
  { runner, streams }: ScheduleText,
  { config, embedding, journal }: StreamSource,
): Promise<void> {
  const [first, ...others] = given;
  if (first === undefined) return;
  const open = (stream: Stream) => streams.open(stream, config.shape.hiddenSize);
  if (first.layer > 0) {
    for (const stream of given) await journal!.restoreStream(stream.model, await open(stream));
    return;
  }
  const embedded = await open(first);
  await embedWindows(runner, config, embedding, embedded);
  for (const stream of others) await copyStates(embedded, await open(stream));
}
