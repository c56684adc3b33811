import { type HiddenStates, memoryHiddenStates } from "@kvfold/calibration";
import { describe, expect, it } from "vitest";
import { type LiveStreams, liveStreams } from "./live-streams.js";
import type { GraphStep } from "./step.js";
import type { Stream } from "./stream.js";

const stream = (place: Stream["place"], layer = 0): Stream => ({ model: "original", place, layer });
const step = (reads: readonly Stream[], writes: readonly Stream[]): GraphStep => ({
  name: "step",
  layer: 0,
  phase: "measure",
  run: {
    graph: () => ({ model: { bytes: new Uint8Array() } }),
    weights: "original",
    reads: Object.fromEntries(reads.map((read, index) => [`in.${index}`, read])),
    writes: Object.fromEntries(writes.map((write, index) => [`out.${index}`, write])),
  },
});
const BETWEEN = stream("between");
const first = step([stream("before")], [BETWEEN]);
const second = step([BETWEEN, stream("before")], [stream("before", 1)]);

/** Streams that note what is disposed. */
async function setUp(steps: readonly GraphStep[]) {
  const disposed: HiddenStates[] = [];
  const streams = liveStreams(steps, async (width) => {
    const states: HiddenStates = {
      ...(await memoryHiddenStates(1, width)),
      dispose: async () => void disposed.push(states),
    };
    return states;
  });
  return { streams, disposed, start: await streams.open(stream("before"), 4) };
}

const used = (streams: LiveStreams, next: GraphStep, width = 4) =>
  streams.use(
    next,
    () => width,
    async (states) => states,
  );

describe("liveStreams", () => {
  it("keeps a stream apart from one that a later step reads", async () => {
    const { streams, start } = await setUp([first, second]);
    const { inputs, outputs } = await used(streams, first);
    expect(inputs["in.0"]).toBe(start);
    expect(outputs["out.0"]).not.toBe(start);
    expect(streams.get(stream("before"))).toBe(start);
  });

  it("writes in the place of a stream that is read for the last time, and frees the others", async () => {
    const { streams, start, disposed } = await setUp([first, second, step([stream("before", 1)], [])]);
    const between = (await used(streams, first)).outputs["out.0"];
    const { outputs } = await used(streams, second);
    expect(outputs["out.0"]).toBe(start);
    expect(disposed).toEqual([between]);
    expect(streams.get(stream("before", 1))).toBe(start);
  });

  it("makes new states for another width", async () => {
    const { streams, start, disposed } = await setUp([step([stream("before")], [BETWEEN])]);
    const only = step([stream("before")], [BETWEEN]);
    const wide = liveStreams([only], async (width) => memoryHiddenStates(1, width));
    await wide.open(stream("before"), 4);
    const { inputs, outputs } = await used(wide, only, 8);
    expect(outputs["out.0"]).not.toBe(inputs["in.0"]);
    await streams.dispose();
    expect(disposed).toEqual([start]);
  });
});
