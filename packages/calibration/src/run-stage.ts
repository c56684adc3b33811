import { type AbortSignalLike, type Session, Tensor, throwIfAborted } from "@kvfold/runtime";
import type { HiddenStates } from "./hidden-states.js";
import { putBackShifts } from "./put-back-shifts.js";
import { createRunningTotals, type RunningTotals } from "./running-totals.js";
import type { StageReference, StageShare } from "./stage-reference.js";
import type { StageResult } from "./stage-result.js";
import { createStageTotals, type NamedCross, type NamedSize, type StageNames } from "./stage-totals.js";

/** Streams of hidden states by the name of the graph input or output that they feed or take. */
export type Streams = Readonly<Record<string, HiddenStates>>;

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
    /** Names whose `<name>.cross [W, V]` with the rows of some moments and `<name>.sum [V]` are summed. */
    readonly crosses?: readonly NamedCross[];
    /** Tokens of a window. */
    readonly length: number;
    /** How the sums are completed, where the windows are but a share of a text; not asked by a stage that sums nothing. */
    readonly share?: StageShare | undefined;
    readonly onWindow?: ((index: number) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/**
 * Runs one stage of a model (its embedding, a block, a part of one) over all windows: hidden states go on to `outputs`,
 * and moments add up.
 *
 * Numerics: sums of one window are float32. In float64 windows add up on a grid, to the same bits in whichever order they come
 * and whichever shares they are cut into (grid.ts). In the memory of a device, which has no float64, up to 128 windows in a row are
 * summed in float32 ({@link soFar}). Where the graph takes them about a shift ({@link shiftOf}) the shift is put back in float64, and
 * covariances are good to about 1e-6 of the variances however large the mean is; about zero they lose the square of mean
 * over deviation.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires between two windows.
 */
export async function runStage(options: runStage.Options): Promise<StageResult> {
  const { session, windows, length, outputs = {}, onWindow, signal } = options;
  const names = namesOf(options);
  const totals = createRunningTotals(session, names, length);
  try {
    const beginning = await beginStage(options, names, totals);
    for (let index = 0; index < windows; index++) {
      throwIfAborted(signal);
      const { rooms, results } = beginning.first ?? (await runWindow(index, options, totals));
      // The sums of a window may take hundreds of megabytes.
      beginning.first = undefined;
      for (const [name, stream] of Object.entries(outputs)) {
        if (rooms[name]) await stream.onDevice!.fill(index);
        else await stream.write(index, floats(results, name));
      }
      await totals.add(results);
      onWindow?.(index);
    }
    return await completeStage(await totals.result(), names, beginning.reference, options.share);
  } finally {
    totals.dispose();
  }
}

/** What a stage sums over no windows at all: a shard of a text may have none of those that a step runs on. */
export async function emptyStage(
  options: Pick<runStage.Options, "moments" | "crosses" | "share">,
): Promise<StageResult> {
  const names = namesOf(options);
  const reference = sumsNothing(names) ? {} : ((await options.share?.agree(refuseToFind)) ?? {});
  return completeStage(createStageTotals(names, reference).result(0), names, reference, options.share);
}

const refuseToFind = async (): Promise<never> => {
  throw new Error("a share without windows cannot find the reference of a stage");
};

const namesOf = ({
  moments = [],
  crosses = [],
}: Pick<runStage.Options, "moments" | "crosses">): StageNames => ({
  moments,
  crosses,
});

const sumsNothing = ({ moments, crosses }: StageNames): boolean => moments.length + crosses.length === 0;

interface WindowResults {
  readonly rooms: Readonly<Record<string, Tensor | null>>;
  readonly results: Readonly<Record<string, Tensor>>;
}

async function runWindow(
  index: number,
  { session, feeds, outputs = {} }: runStage.Options,
  totals: RunningTotals,
): Promise<WindowResults> {
  const rooms = roomsOf(session, outputs);
  const fetches = { ...rooms, ...totals.fetches() };
  return { rooms, results: await session.run({ ...(await feeds(index)), ...totals.feeds() }, fetches) };
}

interface Beginning {
  readonly reference: StageReference;
  /** The first window, where it was run to find the reference and is about that. */
  first: WindowResults | undefined;
}

/** Agrees on the reference, which the first window of a text finds. */
async function beginStage(
  options: runStage.Options,
  names: StageNames,
  totals: RunningTotals,
): Promise<Beginning> {
  if (options.windows === 0 || sumsNothing(names)) return { reference: {}, first: undefined };
  const found: { first?: WindowResults; reference?: StageReference } = {};
  const find = async () => {
    throwIfAborted(options.signal);
    found.first = await runWindow(0, options, totals);
    found.reference = await totals.findReference(found.first.results);
    return found.reference;
  };
  const reference = await (options.share === undefined ? find() : options.share.agree(find));
  totals.begin(reference);
  return { reference, first: haveSameShifts(found.reference, reference) ? found.first : undefined };
}

/** An earlier process may have found another: by another processor, whose sums have other last digits. */
function haveSameShifts(found: StageReference | undefined, agreed: StageReference): boolean {
  if (found === undefined) return false;
  return Object.entries(found).every(([name, { shift }]) =>
    shift === null ? true : shift.every((value, at) => value === agreed[name]?.shift?.[at]),
  );
}

async function completeStage(
  own: StageResult,
  names: StageNames,
  reference: StageReference,
  share: StageShare | undefined,
): Promise<StageResult> {
  if (sumsNothing(names)) return own;
  const sums = share === undefined ? own : await share.complete(own);
  return putBackShifts(sums, names, reference);
}

/** Where a run writes the states of a window: on the device where it has memory for them, else where the runtime likes. */
const roomsOf = ({ writesInPlace }: Session, outputs: Streams): Readonly<Record<string, Tensor | null>> =>
  Object.fromEntries(
    Object.entries(outputs).map(([name, { onDevice }]) => [
      name,
      (writesInPlace ? onDevice?.room() : undefined) ?? null,
    ]),
  );

const floats = (results: Readonly<Record<string, Tensor>>, name: string): Float32Array =>
  results[name]!.data as Float32Array;

/** Feeds of a graph over hidden states: window `index` of each stream as its input `[1, S, D]`. */
export const streamFeeds =
  (streams: Streams, length: number) =>
  async (index: number): Promise<Readonly<Record<string, Tensor>>> => {
    const feeds: Record<string, Tensor> = {};
    for (const [name, stream] of Object.entries(streams))
      feeds[name] = stream.onDevice?.get(index) ?? (await stateTensor(stream, index, length));
    return feeds;
  };

async function stateTensor(stream: HiddenStates, index: number, length: number): Promise<Tensor> {
  const states = await stream.read(index);
  return new Tensor("float32", states, [1, length, states.length / length]);
}

/** Feeds of an embedding: its window of tokens as int64 `input_ids [1, S]`. */
export const tokenFeeds =
  (windows: readonly Int32Array[]) =>
  async (index: number): Promise<Readonly<Record<string, Tensor>>> => {
    const tokens = windows[index]!;
    return { input_ids: new Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]) };
  };
