import { memoryHiddenStates } from "@kvfold/calibration";
import type { Arrangement } from "@kvfold/decoder";
import { describe, expect, it } from "vitest";
import type { Tap } from "../graph/taps.js";
import type { Heal } from "../methods/heal.js";
import { liveStreams } from "./live-streams.js";
import { foldSchedule, stepsOf } from "./schedule.js";
import { scheduleSize } from "./schedule-size.js";
import { runsGraph, type Step } from "./step.js";
import type { Stream } from "./stream.js";

const LATENT: readonly Tap[] = ["keys", "values", "sensitiveQueries", "attentionWeights"];
const describeStep = ({ name, layer }: Step): string => `${name} ${layer}`;
const facts = (heal: Heal, taps: readonly Tap[], layers = 2, arrangement: Arrangement = "sequential") => ({
  blocks: Array(layers).fill({ arrangement }),
  heal,
  taps,
});

describe("foldSchedule", () => {
  it("measures the next block and chooses its bases while the large refits of a healed block are solved", () => {
    const { given, opening, blocks } = foldSchedule(facts("both", LATENT), 0);
    expect(given).toEqual([
      { model: "original", place: "before", layer: 0 },
      { model: "folded", place: "before", layer: 0 },
    ]);
    expect(opening.map(describeStep)).toEqual([
      "measure attention 0",
      "measure projections 0",
      "choose bases 0",
    ]);
    expect(blocks[0]!.steps.map(describeStep)).toEqual([
      "refit attention inputs 0",
      "finish original 0",
      "narrow head outputs 0",
      "refit output 0",
      "measure attention 1",
      "add attention and refit MLP inputs 0",
      "widen head outputs 0",
      "refit down 0",
      "measure projections 1",
      "choose bases 1",
      "add MLP 0",
    ]);
  });

  it("refits what a parallel MLP reads while the original's stream before the block is there", () => {
    const { blocks } = foldSchedule(facts("both", LATENT, 2, "parallel"), 0);
    expect(blocks[0]!.steps.map(describeStep)).toEqual([
      "refit attention inputs 0",
      "refit MLP inputs 0",
      "finish original 0",
      "narrow head outputs 0",
      "refit output 0",
      "measure attention 1",
      "add attention 0",
      "widen head outputs 0",
      "refit down 0",
      "measure projections 1",
      "choose bases 1",
      "add MLP 0",
    ]);
    const down = blocks[0]!.steps.find(({ name }) => name === "refit down")!;
    expect(down.run!.reads).toMatchObject({
      hidden_in: { model: "folded", place: "between" },
      block_in: { model: "folded", place: "before" },
    });
  });

  it("leaves out what nobody reads after the last block", () => {
    const { blocks } = foldSchedule(facts("both", LATENT), 0);
    const last = blocks[1]!.steps;
    expect(last.map(({ name }) => name)).not.toContain("add MLP");
    expect(last.at(-1)).toMatchObject({ name: "refit down", run: { writes: {} } });
  });

  it("only measures where nothing is healed, and the last block no further than its taps", () => {
    const { given, opening, blocks } = foldSchedule(facts("none", ["keys", "values"]), 0);
    expect(given).toEqual([{ model: "original", place: "before", layer: 0 }]);
    expect([...opening, ...blocks.flatMap(({ steps }) => steps)].map(describeStep)).toEqual([
      "measure projections 0",
      "choose bases 0",
      "finish original 0",
      "measure projections 1",
      "choose bases 1",
    ]);
    expect(blocks[0]!.steps.at(-2)!.run!.writes).toEqual({});
  });

  it("runs no graph where nothing is measured or healed", () => {
    const schedule = foldSchedule(facts("none", []), 0);
    expect(schedule.given).toEqual([]);
    expect(stepsOf(schedule).map(describeStep)).toEqual(["choose bases 0", "choose bases 1"]);
  });

  it("goes on at any block from the streams before it", () => {
    const whole = foldSchedule(facts("attention", ["keys"], 4), 0);
    const rest = foldSchedule(facts("attention", ["keys"], 4), 2);
    expect(rest.given.map(({ layer }) => layer)).toEqual([2, 2]);
    expect(rest.opening.map(describeStep)).toEqual(["measure projections 2", "choose bases 2"]);
    expect(rest.blocks.map(({ steps }) => steps.map(describeStep))).toEqual(
      whole.blocks.slice(2).map(({ steps }) => steps.map(describeStep)),
    );
    expect(foldSchedule(facts("both", LATENT, 4), 4)).toEqual({ given: [], opening: [], blocks: [] });
  });
});

describe("scheduleSize", () => {
  it("counts windows through graphs, with the embedding and what an earlier run finished", () => {
    // Three windows each: embedding, attention half, other half, and the last block's taps alone.
    expect(scheduleSize(facts("none", ["keys"]), 0, 3)).toEqual({ unit: "window", total: 12, finished: 0 });
    // The measurements of block 1 are done anew.
    expect(scheduleSize(facts("none", ["keys"]), 1, 3)).toEqual({ unit: "window", total: 12, finished: 9 });
  });

  it("takes 16 windows at most for the taps of attention itself", () => {
    const size = (windows: number) => scheduleSize(facts("none", ["attentionWeights"], 1), 0, windows).total;
    expect([size(3), size(40)]).toEqual([3 + 3, 40 + 16]);
  });

  it("counts blocks where no graph runs", () => {
    expect(scheduleSize(facts("none", []), 1, 0)).toEqual({ unit: "block", total: 2, finished: 1 });
  });
});

describe("the streams of a schedule", () => {
  /** The most streams that are there at a time, head outputs and activations included. */
  async function mostStreams(heal: Heal, arrangement: Arrangement): Promise<number> {
    const { given, opening, blocks } = foldSchedule(facts(heal, LATENT, 3, arrangement), 0);
    const steps = [...opening, ...blocks.flatMap((block) => block.steps)];
    let [open, most] = [0, 0];
    const streams = liveStreams(steps, async (width) => {
      most = Math.max(most, ++open);
      const states = await memoryHiddenStates(1, width);
      return { ...states, dispose: async () => void open-- };
    });
    for (const stream of given) await streams.open(stream, 8);
    const widths = { before: 8, between: 8, "head outputs": 16, activations: 24 };
    const widthOf = ({ place }: Stream) => widths[place];
    for (const step of steps.filter(runsGraph)) await streams.use(step, widthOf, async () => {});
    expect(open).toBe(0);
    return most;
  }

  it.each([
    ["none", "sequential", 1],
    ["none", "parallel", 2],
    ["attention", "sequential", 4],
    ["attention", "parallel", 4],
    ["both", "sequential", 4],
    ["both", "parallel", 4],
  ] as const)("with heal %s in %s blocks are never more than %i", async (heal, arrangement, count) => {
    expect(await mostStreams(heal, arrangement)).toBe(count);
  });
});
