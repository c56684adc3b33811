import type { Tensor } from "./port.js";
import { floatsOf } from "./tensors.js";

/** What a run gave out of the last queries of a layer. */
export interface ObservedLayer {
  /** `[1, H, W, size]` of runs one after the other, and how many of the last rows are looked at. */
  readonly queries: readonly Tensor[] | undefined;
  readonly queryRows: number;
  /** `[1, H, W, capacity + S]`: the slots of the past, empty ones included, and the new tokens. */
  readonly attention: Tensor | undefined;
  /** `G`: query heads that read each head. */
  readonly queryHeads: number;
  /** Slots of the past, and those in use by each head, when the run began. */
  readonly capacity: number;
  readonly lengths: Int32Array;
  /** Of heads that have dropped tokens since: the indices of those that stayed, in their order now. */
  readonly kept: readonly (Int32Array | undefined)[];
}

/** What a head's queries look like, `[G, W, size]`. */
export const observedQueries = (
  { queries, queryHeads, queryRows }: ObservedLayer,
  head: number,
): Float32Array | undefined => queries && lastRows(queries, { head, queryHeads, rows: queryRows });

/** How they share their attention among its `tokens`, `[G, W, tokens]`. */
export const observedAttention = (
  observed: ObservedLayer,
  head: number,
  tokens: number,
): Float32Array | undefined =>
  observed.attention &&
  columnsOf(observed, blockOf(observed.attention, head, observed.queryHeads), head, tokens);

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

/** The columns of a head's tokens, `[G, W, tokens]`. */
function columnsOf(observed: ObservedLayer, rows: Float32Array, head: number, tokens: number): Float32Array {
  const width = observed.attention!.dims[3]!;
  const { capacity, lengths, kept: keptOf } = observed;
  const before = lengths[head]!;
  const kept = keptOf[head];
  const columns = new Float32Array((rows.length / width) * tokens);
  for (let row = 0, start = 0; start < columns.length; row++, start += tokens) {
    const own = rows.subarray(row * width, (row + 1) * width);
    if (kept === undefined) {
      columns.set(own.subarray(0, before), start);
      columns.set(own.subarray(capacity, capacity + tokens - before), start + before);
    } else
      for (let token = 0; token < tokens; token++) {
        const index = kept[token]!;
        columns[start + token] = own[index < before ? index : capacity + index - before]!;
      }
  }
  return columns;
}
