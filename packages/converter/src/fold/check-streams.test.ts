import { describe, expect, it } from "vitest";
import { checkStreams } from "./check-streams.js";
import { addMlp, refitDown } from "./heal-steps.js";
import { finishOriginal, measureProjections } from "./measure-steps.js";
import type { Step } from "./step.js";
import type { Stream } from "./stream.js";

const before = (layer: number): Stream => ({ model: "original", place: "before", layer });

/** The step with its writes somewhere else. */
const writing = (step: Step, stream: Stream): Step => ({
  ...step,
  run: { ...step.run!, writes: { hidden_out: stream } },
});

describe("checkStreams", () => {
  it("accepts steps that read what is there", () => {
    const steps = [measureProjections(0, []), finishOriginal(0, "sequential"), measureProjections(1, [])];
    expect(() => checkStreams(steps, [before(0)])).not.toThrow();
  });

  it("accepts that a step overwrites what nobody reads any more", () => {
    const inPlace = writing(measureProjections(0, []), before(0));
    expect(() => checkStreams([inPlace], [before(0)])).not.toThrow();
  });

  it("refuses a step that overwrites what a later step still reads", () => {
    const steps = [
      measureProjections(0, []),
      writing(finishOriginal(0, "sequential"), before(0)),
      measureProjections(0, ["keys"]),
    ];
    expect(() => checkStreams(steps, [before(0)])).toThrow(
      'step "finish original" of block 0 overwrites "original before 0", which "measure projections" of block 0 still reads',
    );
  });

  it.each([
    [
      "before it is written",
      [finishOriginal(0, "sequential"), measureProjections(0, [])],
      "finish original",
      "original between 0",
    ],
    ["that is not written at all", [refitDown(0, "sequential"), addMlp(0)], "refit down", "folded between 0"],
  ])("refuses a step that reads a stream %s", (_, steps, name, stream) => {
    expect(() => checkStreams(steps, [before(0)])).toThrow(
      `step "${name}" of block 0 reads "${stream}", which no step before it writes`,
    );
  });
});
