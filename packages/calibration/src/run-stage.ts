import type { Moments } from "@kvfold/linalg";
import { type AbortSignalLike, type Session, Tensor, throwIfAborted } from "@kvfold/runtime";
import { gramBlocksSize, unpackGram } from "./gram-blocks.js";
import type { HiddenStates } from "./hidden-states.js";
import { createRunningTotals } from "./running-totals.js";

/** Moments of one stage by name, e.g. `keys`. */
export type StageMoments = Readonly<Record<string, Moments>>;

/** Streams of hidden states by the name of the graph input or output that they feed or take. */
export type Streams = Readonly<Record<string, HiddenStates>>;

/** What a stage summed over its windows. */
export interface StageResult {
  readonly moments: StageMoments;
  /** Other summed outputs, by name. */
  readonly sums: Readonly<Record<string, Float64Array>>;
}

export declare namespace runStage {
  interface Options {
    /** A graph over one window. */
    readonly session: Session;
    readonly windows: number;
    /** The graph's inputs for window `index`. */
    readonly feeds: (index: number) => Promise<Readonly<Record<string, Tensor>>>;
    /** Where outputs of each window go, by name; a stream may be one that the inputs are read from. */
    readonly outputs?: Streams;
    /** Names whose `<name>.gram` (block rows, {@link gramBlocks}) and `<name>.sum [W]` are summed over the windows. */
    readonly moments?: readonly NamedSize[];
    /** Outputs of `size` numbers that are summed over the windows. */
    readonly sums?: readonly NamedSize[];
    /** Tokens of a window. */
    readonly length: number;
    readonly onWindow?: ((index: number) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
  interface NamedSize {
    readonly name: string;
    readonly size: number;
  }
}

/**
 * Runs one stage of a model (its embedding, a block, a part of one) over all windows: hidden states go on to
 * `outputs`, moments and other sums add up in float64 over float32 sums of one window each, or of eight where the graph
 * adds them itself ({@link soFar}); relative error about 1e-6 either way.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires between two windows.
 */
export async function runStage(options: runStage.Options): Promise<StageResult> {
  const { session, windows, feeds, outputs = {}, onWindow, signal } = options;
  const totals = createRunningTotals(session, sizesOf(options));
  const fetches = session.outputs.map(({ name }) => name);
  for (let index = 0; index < windows; index++) {
    throwIfAborted(signal);
    const results = await session.run({ ...(await feeds(index)), ...totals.feeds() }, fetches);
    for (const [name, stream] of Object.entries(outputs)) await stream.write(index, floats(results, name));
    totals.add(results);
    onWindow?.(index);
  }
  return toResult(options, totals.result());
}

/** Elements of each output that is summed. */
const sizesOf = ({ moments = [], sums = [] }: runStage.Options): ReadonlyMap<string, number> =>
  new Map([
    ...moments.flatMap(({ name, size }): [string, number][] => [
      [`${name}.gram`, gramBlocksSize(size)],
      [`${name}.sum`, size],
    ]),
    ...sums.map(({ name, size }): [string, number] => [name, size]),
  ]);

function toResult(
  { moments = [], sums = [], windows, length }: runStage.Options,
  totals: ReadonlyMap<string, Float64Array>,
): StageResult {
  const momentsOf = ({ name, size }: runStage.NamedSize): Moments => ({
    width: size,
    count: windows * length,
    sum: totals.get(`${name}.sum`)!,
    gram: unpackGram(totals.get(`${name}.gram`)!, size),
  });
  return {
    moments: Object.fromEntries(moments.map((moment) => [moment.name, momentsOf(moment)])),
    sums: Object.fromEntries(sums.map(({ name }) => [name, totals.get(name)!])),
  };
}

const floats = (results: Readonly<Record<string, Tensor>>, name: string): Float32Array =>
  results[name]!.data as Float32Array;

/** Feeds of a graph over hidden states: window `index` of each stream as its input `[1, S, D]`. */
export const streamFeeds =
  (streams: Streams, length: number) =>
  async (index: number): Promise<Readonly<Record<string, Tensor>>> => {
    const feeds: Record<string, Tensor> = {};
    for (const [name, stream] of Object.entries(streams)) {
      const states = await stream.read(index);
      feeds[name] = new Tensor("float32", states, [1, length, states.length / length]);
    }
    return feeds;
  };

/** Feeds of an embedding: its window of tokens as int64 `input_ids [1, S]`. */
export const tokenFeeds =
  (windows: readonly Int32Array[]) =>
  async (index: number): Promise<Readonly<Record<string, Tensor>>> => {
    const tokens = windows[index]!;
    return { input_ids: new Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]) };
  };
