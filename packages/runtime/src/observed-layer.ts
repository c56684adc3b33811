import type { Tensor } from "./port.js";
import { floatsOf } from "./tensors.js";

/** What a run gave out of the last queries of a layer. */
export interface ObservedLayer {
  /** `[1, H, W, size]` of runs one after the other, and how many of the last rows are looked at. */
  readonly queries: readonly Tensor[] | undefined;
  readonly queryRows: number;
  /** How these queries shared their attention among the tokens that each head had after the run. */
  readonly attention: readonly HeadAttention[] | undefined;
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
 * The columns of each head's tokens of attention `[1, H, W, capacity + S]` to the slots of the past, empty ones
 * included, and to the new tokens. They are moved together where they lie, since a step has no time to copy them: float32
 * numbers of the tensor are not what they were.
 */
export function attentionByHead(
  tensor: Tensor,
  { queryHeads, capacity, lengths }: attentionByHead.Options,
): readonly HeadAttention[] {
  const width = tensor.dims[3]!;
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

/** What the query heads of a head have of `[1, H, W, X]`: `[G, W, X]`. */
function blockOf(tensor: Tensor, head: number, queryHeads: number): Float32Array {
  const width = tensor.dims[2]! * tensor.dims[3]!;
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
function gatherColumns({ rows, tokens }: HeadAttention, stayed: Int32Array): Float32Array {
  const columns = new Float32Array((rows.length / tokens) * stayed.length);
  for (let target = 0, start = 0; start < rows.length; start += tokens)
    for (let token = 0; token < stayed.length; token++, target++)
      columns[target] = rows[start + stayed[token]!]!;
  return columns;
}
