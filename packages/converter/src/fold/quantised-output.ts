import type { ModelConfig, ModelOutput } from "@kvfold/decoder";
import { windowEmbedding } from "@kvfold/decoder/graph";
import type { AbortSignalLike } from "@kvfold/runtime";
import type { FoldPlan } from "../plan/fold-plan.js";
import type { BlockMath } from "./block-math.js";
import { copyStates } from "./copy-states.js";
import { embedWindows } from "./embed-windows.js";
import type { CalibrationText } from "./fold-options.js";
import { type LiveStreams, liveStreams } from "./live-streams.js";
import { countProgress } from "./progress.js";
import { quantiseSteps } from "./quantise-steps.js";
import { runSchedule } from "./run-schedule.js";
import type { Stream } from "./stream.js";
import { createWindowRunner, type WindowRunner } from "./window-runner.js";

export declare namespace quantisedOutput {
  interface Options {
    /** Takes blocks whose projections have four bits. */
    readonly output: ModelOutput;
    readonly config: ModelConfig;
    readonly plan: FoldPlan;
    readonly text: CalibrationText;
    readonly math: BlockMath;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * An output whose blocks are rounded to four bits on their way to another one. The calibration text goes down the model as
 * it comes and as it is in four bits, side by side, so that each projection is fitted to what the rounding before it has
 * left of its inputs. Nothing but the blocks and the text decides the result: a fold that goes on from a journal hands
 * over the same blocks again.
 */
export function quantisedOutput({
  output,
  config,
  plan,
  text,
  math,
  signal,
}: quantisedOutput.Options): ModelOutput {
  const schedules = config.blocks.map(({ arrangement }, layer) => quantiseSteps(layer, arrangement));
  const tokens = text.windows.length * text.windows[0]!.length;
  let opened: { readonly runner: WindowRunner; readonly streams: LiveStreams } | undefined;
  let layer = 0;
  const dispose = async () => {
    await opened?.streams.dispose();
    opened = undefined;
  };
  return {
    async begin(embedding) {
      const read = windowEmbedding({ config, embedding, windows: text.windows });
      const runner = createWindowRunner({ ...text, signal });
      const steps = schedules.flatMap((schedule) => schedule.steps);
      opened = { runner, streams: liveStreams(steps, (width) => runner.createStream(width)) };
      const [original, folded] = await Promise.all([
        openFirst(opened.streams, "original", config),
        openFirst(opened.streams, "folded", config),
      ]);
      await embedWindows(runner, config, read, original);
      await copyStates(original, folded);
      await output.begin(embedding);
    },
    async addBlock(block) {
      const schedule = schedules[layer++]!;
      await runSchedule(
        { given: [], opening: [], blocks: [schedule] },
        {
          config,
          loadBlock: async () => block,
          knownMoments: () => ({}),
          solving: { plan, math, tokens },
          text: opened,
          events: {
            onMeasured: () => {},
            onStream: async () => {},
            onBlock: (_layer, finished) => output.addBlock(finished.block),
          },
          progress: countProgress({ unit: "window", total: 0, finished: 0 }, undefined),
          signal,
        },
      );
    },
    async finish(head) {
      await dispose();
      await output.finish(head);
    },
    async abandon() {
      await Promise.allSettled([dispose(), output.abandon()]);
    },
  };
}

const openFirst = (streams: LiveStreams, model: Stream["model"], { shape }: ModelConfig) =>
  streams.open({ model, place: "before", layer: 0 }, shape.hiddenSize);
