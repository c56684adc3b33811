import type { AttentionSums } from "@kvfold/policies";
import type { Tensor } from "./port.js";
import { floatsOf } from "./tensors.js";

/** What a run gave out of the last queries of a layer. */
export interface ObservedLayer {
  /** `[1, H, W, size]` of runs one after the other, and how many of the last rows are looked at. */
  readonly queries: readonly Tensor[] | undefined;
  readonly queryRows: number;
  /** How these queries shared their attention among the tokens that each head had after the run. */
  readonly attention: readonly HeadAttention[] | undefined;
  readonly sums: ObservedSums | undefined;
  /** `G`: query heads that read each head. */
  readonly queryHeads: number;
  /** Of heads that have dropped tokens since: gives the indices of those that stayed, in their order now. */
  readonly kept: readonly ((() => Int32Array) | undefined)[];
}

interface HeadAttention {
  /** `[G, W, T]` */
  readonly rows: Float32Array;
  /** `T` */
  readonly tokens: number;
}

/** What the tokens of each head were paid by the queries of runs one after the other. */
export interface ObservedSums {
  /** For each head `[G, T]`, its tokens as they stood after the last of these runs. */
  readonly ofHeads: readonly Float64Array[];
  /** Queries that are summed. */
  readonly queries: number;
}

/** What a head's queries look like, `[G, W, size]`. */
export const observedQueries = (
  { queries, queryHeads, queryRows }: ObservedLayer,
  head: number,
): Float32Array | undefined => queries && lastRows(queries, { head, queryHeads, rows: queryRows });

/** How they share their attention among the tokens that it has now, `[G, W, T]`. */
export function observedAttention(
  { attention, kept }: ObservedLayer,
  head: number,
): Float32Array | undefined {
  const own = attention?.[head];
  const stayed = kept[head];
  return own === undefined || stayed === undefined ? own?.rows : gatherColumns(own, stayed());
}

/** What a head's tokens were paid. */
export const observedSums = (observed: ObservedLayer, head: number): AttentionSums | undefined =>
  observed.sums && {
    sums: new Float32Array(sumsOf(observed, observed.sums, head)),
    queries: observed.sums.queries,
  };

export declare namespace attentionByHead {
  interface Options {
    /** `G`: query heads that read each head. */
    readonly queryHeads: number;
    /** Slots of the past, and those in use by each head, when the run began. */
    readonly capacity: number;
    readonly lengths: Int32Array;
  }
}

/**
 * The columns of each head's tokens of attention `[1, H, W, capacity + S]`, or of its sums `[1, H, capacity + S]`, to the slots of
 * the past, empty ones included, and to the new tokens. They are moved together where they lie, since a step has no time to
 * copy them: float32 numbers of the tensor are not what they were.
 */
export function attentionByHead(
  tensor: Tensor,
  { queryHeads, capacity, lengths }: attentionByHead.Options,
): readonly HeadAttention[] {
  const width = tensor.dims.at(-1)!;
  return Array.from(lengths, (before, head) => {
    const rows = blockOf(tensor, head, queryHeads);
    const tokens = before + width - capacity;
    const count = rows.length / width;
    for (let row = 0; row < count; row++) {
      rows.copyWithin(row * tokens, row * width, row * width + before);
      rows.copyWithin(row * tokens + before, row * width + capacity, (row + 1) * width);
    }
    return { rows: rows.subarray(0, count * tokens), tokens };
  });
}

/** The layer that a run was given, and its sums `[1, H, capacity + S]`. */
export interface SummedRun extends attentionByHead.Options {
  readonly sums: Tensor;
  /** Queries that are summed, and all of the run. */
  readonly queries: number;
  readonly added: number;
}

/** Adds what a run has summed to the sums of the runs before; they begin anew where queries lie between. */
export function addSums(before: ObservedLayer | undefined, run: SummedRun): ObservedSums {
  const earlier = run.queries === run.added ? before : undefined;
  const ofHeads = attentionByHead(run.sums, run).map(({ rows }, head) => {
    const total = new Float64Array(rows);
    if (earlier?.sums !== undefined) addRows(total, sumsOf(earlier, earlier.sums, head), run.queryHeads);
    return total;
  });
  return { ofHeads, queries: run.queries + (earlier?.sums?.queries ?? 0) };
}

/** The sums `[G, tokens]` of the tokens that a head has now. */
function sumsOf({ kept, queryHeads }: ObservedLayer, { ofHeads }: ObservedSums, head: number): Float64Array {
  const rows = ofHeads[head]!;
  const stayed = kept[head];
  return stayed === undefined ? rows : gatherColumns({ rows, tokens: rows.length / queryHeads }, stayed());
}

/** Adds `[rows, n]` to the first columns of as many longer rows. */
function addRows(target: Float64Array, addends: Float64Array, rows: number): void {
  const [length, count] = [target.length / rows, addends.length / rows];
  for (let row = 0; row < rows; row++)
    for (let at = 0; at < count; at++) target[row * length + at]! += addends[row * count + at]!;
}

/** What the query heads of a head have of `[1, H, W, X]`: `[G, W, X]`. */
function blockOf(tensor: Tensor, head: number, queryHeads: number): Float32Array {
  const width = tensor.dims.slice(2).reduce((product, dimension) => product * dimension, 1);
  return floatsOf(tensor, head * queryHeads * width, (head + 1) * queryHeads * width);
}

/** The last rows of several runs, `[G, W, size]`. */
function lastRows(
  runs: readonly Tensor[],
  { head, queryHeads, rows }: { readonly head: number; readonly queryHeads: number; readonly rows: number },
): Float32Array {
  const last = runs.at(-1)!;
  if (runs.length === 1 && last.dims[2]! <= rows) return blockOf(last, head, queryHeads);
  const size = last.dims[3]!;
  const total = runs.reduce((sum, { dims }) => sum + dims[2]!, 0);
  const count = Math.min(rows, total);
  const joined = new Float32Array(queryHeads * count * size);
  let end = count;
  for (const run of [...runs].reverse()) {
    const width = run.dims[2]!;
    const taken = Math.min(width, end);
    const block = blockOf(run, head, queryHeads);
    for (let query = 0; query < queryHeads; query++) {
      const own = block.subarray(((query + 1) * width - taken) * size, (query + 1) * width * size);
      joined.set(own, (query * count + end - taken) * size);
    }
    end -= taken;
  }
  return joined;
}

/** The columns of the tokens that stayed. */
function gatherColumns<Numbers extends Float32Array | Float64Array>(
  { rows, tokens }: { readonly rows: Numbers; readonly tokens: number },
  stayed: Int32Array,
): Numbers {
  const columns = rows.slice(0, (rows.length / tokens) * stayed.length) as Numbers;
  for (let target = 0, start = 0; start < rows.length; start += tokens)
    for (let token = 0; token < stayed.length; token++, target++)
      columns[target] = rows[start + stayed[token]!]!;
  return columns;
}
