import type { Moments } from "@kvfold/linalg";
import { type AbortSignalLike, type Session, Tensor, throwIfAborted } from "@kvfold/runtime";
import { gramBlocksSize, unpackGram } from "./gram-blocks.js";
import type { HiddenStates } from "./hidden-states.js";
import { createRunningTotals, type RunningTotals, type TotalSizes } from "./running-totals.js";
import { type ShiftedSum, unshiftProduct, unshiftSum } from "./shifted-sums.js";

/** Moments of one stage by name, e.g. `keys`. */
export type StageMoments = Readonly<Record<string, Moments>>;

/** Streams of hidden states by the name of the graph input or output that they feed or take. */
export type Streams = Readonly<Record<string, HiddenStates>>;

/** The cross moment of rows `y [W]` with rows `z [V]` of the same tokens. */
export interface CrossMoments {
  /** `Σ yᵀz [W, V]` */
  readonly cross: Float64Array;
  /** `Σ z [V]` */
  readonly sum: Float64Array;
}

/** What a stage summed over its windows, in float64. */
export interface StageResult {
  readonly moments: StageMoments;
  /** By the name of `z`. */
  readonly crosses: Readonly<Record<string, CrossMoments>>;
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
    /** Names whose `<name>.cross [W, V]` with the rows of some moments and `<name>.sum [V]` are summed. */
    readonly crosses?: readonly NamedCross[];
    /** Tokens of a window. */
    readonly length: number;
    readonly onWindow?: ((index: number) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
  interface NamedSize {
    readonly name: string;
    readonly size: number;
  }
  interface NamedCross extends NamedSize {
    /** Name of the moments whose rows are `y`. */
    readonly rows: string;
  }
}

/**
 * Runs one stage of a model (its embedding, a block, a part of one) over all windows: hidden states go on to `outputs`,
 * and moments add up.
 *
 * Numerics: sums of one window are float32, of eight where the graph adds them itself ({@link soFar}), of 128 in the memory of
 * a device, and float64 beyond. Where the graph takes them about a shift ({@link shiftOf}) the shift is put back in float64,
 * and covariances are good to about 1e-6 of the variances however large the mean is; about zero they lose the square of mean
 * over deviation.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires between two windows.
 */
export async function runStage(options: runStage.Options): Promise<StageResult> {
  const { session, windows, feeds, outputs = {}, onWindow, signal } = options;
  const totals = createRunningTotals(session, sizesOf(options));
  try {
    for (let index = 0; index < windows; index++) {
      throwIfAborted(signal);
      const rooms = roomsOf(session, outputs);
      const fetches = { ...rooms, ...totals.fetches() };
      const results = await session.run({ ...(await feeds(index)), ...totals.feeds() }, fetches);
      for (const [name, stream] of Object.entries(outputs)) {
        if (rooms[name]) await stream.onDevice!.fill(index);
        else await stream.write(index, floats(results, name));
      }
      await totals.add(results);
      onWindow?.(index);
    }
    return await toResult(options, totals);
  } finally {
    totals.dispose();
  }
}

/** Where a run writes the states of a window: on the device where it has memory for them, else where the runtime likes. */
const roomsOf = ({ writesInPlace }: Session, outputs: Streams): Readonly<Record<string, Tensor | null>> =>
  Object.fromEntries(
    Object.entries(outputs).map(([name, { onDevice }]) => [
      name,
      (writesInPlace ? onDevice?.room() : undefined) ?? null,
    ]),
  );

/** Elements of each output that is summed, and of each shift. */
function sizesOf({ moments = [], crosses = [] }: runStage.Options): TotalSizes {
  const widths = new Map(moments.map(({ name, size }) => [name, size]));
  const named = [...moments, ...crosses];
  return {
    sums: {
      sizes: new Map([
        ...named.map(({ name, size }): [string, number] => [`${name}.sum`, size]),
        ...moments.map(({ name, size }): [string, number] => [`${name}.gram`, gramBlocksSize(size)]),
        ...crosses.map(({ name, size, rows }): [string, number] => [
          `${name}.cross`,
          widths.get(rows)! * size,
        ]),
      ]),
      // Of those that are wanted whole.
      rooms: new Map(moments.map(({ name, size }) => [`${name}.gram`, size * size])),
    },
    shifts: new Map(named.map(({ name, size }) => [name, size])),
  };
}

async function toResult(
  { moments = [], crosses = [], windows, length }: runStage.Options,
  totals: RunningTotals,
): Promise<StageResult> {
  const count = windows * length;
  const sums = await totals.result();
  const shifted = (name: string): ShiftedSum => ({
    sum: sums.get(`${name}.sum`)!,
    shift: totals.shift(name),
  });
  const momentsOf = ({ name, size }: runStage.NamedSize): Moments => {
    const about = shifted(name);
    const gram = unpackGram(sums.get(`${name}.gram`)!, size);
    return {
      width: size,
      count,
      sum: unshiftSum(about, count),
      gram: unshiftProduct(gram, about, about, count),
    };
  };
  const crossOf = ({ name, rows }: runStage.NamedCross): CrossMoments => ({
    cross: unshiftProduct(sums.get(`${name}.cross`)!, shifted(rows), shifted(name), count),
    sum: unshiftSum(shifted(name), count),
  });
  return {
    moments: Object.fromEntries(moments.map((moment) => [moment.name, momentsOf(moment)])),
    crosses: Object.fromEntries(crosses.map((cross) => [cross.name, crossOf(cross)])),
  };
}

/** What a stage sums over no windows at all: a shard of a text may have none of those that a step runs on. */
export function emptyStage({
  moments = [],
  crosses = [],
}: Pick<runStage.Options, "moments" | "crosses">): StageResult {
  const widths = new Map(moments.map(({ name, size }) => [name, size]));
  const zeros = (size: number) => new Float64Array(size);
  return {
    moments: Object.fromEntries(
      moments.map(({ name, size }) => [
        name,
        { width: size, count: 0, sum: zeros(size), gram: zeros(size * size) },
      ]),
    ),
    crosses: Object.fromEntries(
      crosses.map(({ name, size, rows }) => [
        name,
        { cross: zeros(widths.get(rows)! * size), sum: zeros(size) },
      ]),
    ),
  };
}

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
