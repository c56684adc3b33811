import { memoryHiddenStates } from "@kvfold/calibration";
import { loadBlock } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import { syntheticCheckpoint, tinyLlama } from "../../../decoder/test/reference/synthetic-checkpoint.js";
import { planFold } from "../plan/plan-fold.js";
import { type BlockMath, inlineBlockMath } from "./block-math.js";
import { liveStreams } from "./live-streams.js";
import { countProgress } from "./progress.js";
import { runSchedule } from "./run-schedule.js";
import type { FoldedBlock, GraphRun, Step } from "./step.js";
import type { Stream } from "./stream.js";

const BEFORE: Stream = { model: "folded", place: "before", layer: 0 };

/** A graph whose bytes are a letter, for the runner to note. */
const graph = (letter: string, weights: GraphRun["weights"]): GraphRun => ({
  graph: () => ({ model: { bytes: new TextEncoder().encode(letter) } }),
  weights,
  reads: { in: BEFORE },
  writes: {},
});

const step = (layer: number, work: Pick<Step, "run" | "solve">): Step => ({
  name: "step",
  layer,
  phase: "heal",
  ...work,
});

/** Runs the steps of blocks 0 and 1 with graphs that only note their letter. */
async function run(blocks: readonly (readonly Step[])[], log: string[], math: BlockMath = inlineBlockMath) {
  const checkpoint = await syntheticCheckpoint({ config: tinyLlama });
  const { config } = checkpoint;
  const streams = liveStreams(blocks.flat(), (width) => memoryHiddenStates(1, width));
  await streams.open(BEFORE, config.shape.hiddenSize);
  const runner = {
    count: 1,
    length: 1,
    createStream: (width: number) => memoryHiddenStates(1, width),
    async run({ bytes }: { readonly bytes: Uint8Array }) {
      log.push(`run ${new TextDecoder().decode(bytes)}`);
      return { moments: {}, crosses: {} };
    },
  };
  await runSchedule(
    { given: [BEFORE], opening: [], blocks: blocks.map((steps, layer) => ({ layer, steps })) },
    {
      loadBlock: (layer) => loadBlock(checkpoint, layer),
      knownMoments: () => ({}),
      config,
      solving: { plan: planFold(config, { keep: "1" }), math, tokens: 1 },
      text: { runner, streams },
      events: {
        onMeasured: () => {},
        onStream: async () => {},
        onBlock: async (layer) => void log.push(`block ${layer}`),
      },
      progress: countProgress({ unit: "window", total: 0, finished: 0 }, undefined),
      signal: undefined,
    },
  );
}

/** A solve that is done when it is told to be. */
function deferred(log: string[]) {
  let finish = () => {};
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const solve = async (block: FoldedBlock) => {
    log.push("solving");
    await done;
    log.push("solved");
    return block;
  };
  return { solve, finish };
}

describe("runSchedule", () => {
  it("runs graphs while a solve goes on, up to one that needs the folded weights", async () => {
    const log: string[] = [];
    const { solve, finish } = deferred(log);
    const next = step(1, { run: graph("c", "folded") });
    const running = run(
      [
        [
          step(0, { run: graph("a", "folded"), solve }),
          step(0, { run: graph("b", "original") }),
          next,
          step(0, { run: graph("d", "folded") }),
        ],
        [],
      ],
      log,
    );
    await expect.poll(() => log).toEqual(["run a", "solving", "run b", "run c"]);
    finish();
    await running;
    expect(log.slice(4)).toEqual(["solved", "run d", "block 0", "block 1"]);
  });

  it("finishes a block only when all its solves are done", async () => {
    const log: string[] = [];
    const { solve, finish } = deferred(log);
    const running = run([[step(0, { solve }), step(0, { run: graph("a", "original") })]], log);
    await expect.poll(() => log).toContain("run a");
    finish();
    await running;
    expect(log).toEqual(["solving", "run a", "solved", "block 0"]);
  });

  it.each([
    [1, ["solving", "run a", "solved", "next"]],
    [2, ["solving", "next", "run a", "solved"]],
  ])(
    "with linear algebra of %i layers at once, the next block's solves take their turn",
    async (layersAtOnce, order) => {
      const log: string[] = [];
      const { solve, finish } = deferred(log);
      const next = async (block: FoldedBlock) => {
        log.push("next");
        return block;
      };
      const steps = [step(0, { solve }), step(1, { solve: next }), step(0, { run: graph("a", "original") })];
      const running = run([steps, []], log, { ...inlineBlockMath, layersAtOnce });
      await expect.poll(() => log).toContain("run a");
      finish();
      await running;
      expect(log.filter((entry) => !entry.startsWith("block"))).toEqual(order);
    },
  );

  it("reports a failed solve at the block it belongs to, after the graphs beside it", async () => {
    const log: string[] = [];
    const solve = () => Promise.reject(new Error("not positive definite"));
    const running = run([[step(0, { solve }), step(0, { run: graph("a", "original") })]], log);
    await expect(running).rejects.toThrow("not positive definite");
    expect(log).toEqual(["run a"]);
  });
});
