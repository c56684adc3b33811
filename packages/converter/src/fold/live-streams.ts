import type { HiddenStates, Streams as States } from "@kvfold/calibration";
import { type GraphStep, readsOf, type Step } from "./step.js";
import { type Stream, streamName } from "./stream.js";

/** The streams of a schedule that are there at the moment, each from the step that writes it to its last reader. */
export interface LiveStreams {
  /** A new stream of `width` numbers per token, for the caller to fill. */
  open(stream: Stream, width: number): Promise<HiddenStates>;
  /** A stream that is there. */
  get(stream: Stream): HiddenStates;
  /**
   * Does `work` with the states that a step's graph reads and writes, then frees those that no later step reads. Where one
   * of these has the right width, a written stream takes its place: window for window, after it is read.
   */
  use<T>(
    step: GraphStep,
    widthOf: (stream: Stream) => number,
    work: (used: UsedStates) => Promise<T>,
  ): Promise<T>;
  dispose(): Promise<void>;
}

/** Hidden states by the name of the graph input or output. */
export interface UsedStates {
  readonly inputs: States;
  readonly outputs: States;
}

/** The streams of `steps`; `create` makes the states of one, empty. */
export function liveStreams(
  steps: readonly Step[],
  create: (width: number) => Promise<HiddenStates>,
): LiveStreams {
  const lastReaders = new Map(steps.flatMap((step) => readsOf(step).map((read) => [streamName(read), step])));
  const held = new Map<string, { readonly states: HiddenStates; readonly width: number }>();
  const get = (stream: Stream) => held.get(streamName(stream))!.states;
  const open = async (stream: Stream, width: number) => {
    const states = await create(width);
    held.set(streamName(stream), { states, width });
    return states;
  };
  const lastReadBy = (step: Step) => [...held.keys()].filter((name) => lastReaders.get(name) === step);
  const openInPlace = async (stream: Stream, width: number, step: Step) => {
    const name = lastReadBy(step).find((stale) => held.get(stale)!.width === width);
    if (name === undefined) return open(stream, width);
    const room = held.get(name)!;
    held.delete(name);
    held.set(streamName(stream), room);
    return room.states;
  };
  const close = async (name: string) => {
    const { states } = held.get(name)!;
    held.delete(name);
    await states.dispose();
  };
  return {
    open,
    get,
    async use(step, widthOf, work) {
      const { reads, writes } = step.run;
      const inputs = Object.fromEntries(Object.entries(reads).map(([name, read]) => [name, get(read)]));
      const outputs: Record<string, HiddenStates> = {};
      for (const [name, written] of Object.entries(writes))
        outputs[name] = await openInPlace(written, widthOf(written), step);
      const result = await work({ inputs, outputs });
      for (const name of lastReadBy(step)) await close(name);
      return result;
    },
    async dispose() {
      for (const name of held.keys()) await close(name);
    },
  };
}
