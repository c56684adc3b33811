import { type Rows, zeroRows } from "./layers.js";

export declare namespace attend {
  interface Options {
    /** After the rotation: `[T, H * d]` and `[T, Hkv * d]`. */
    readonly queries: Rows;
    readonly keys: Rows;
    readonly values: Rows;
    readonly heads: number;
    readonly headDim: number;
    /** Per query head: `-slope * distance` is added to its scores. */
    readonly slopes: readonly number[] | undefined;
    /** Keys that a query sees, its own included. */
    readonly window: number | undefined;
  }
}

/** Causal softmax attention, query head `h` reading KV head `floor(h / (H / Hkv))`: `[T, H * d]`. */
export function attend(options: attend.Options): Rows {
  const { queries, heads, headDim } = options;
  const result = zeroRows(queries.count, heads * headDim);
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < queries.count; row++) {
      const output = attendOne(options, head, row);
      result.data.set(output, (row * heads + head) * headDim);
    }
  }
  return result;
}

function attendOne(options: attend.Options, head: number, row: number): Float64Array {
  const { values, heads, headDim, window = Number.POSITIVE_INFINITY } = options;
  const kvHead = Math.floor(head / (heads / (values.width / headDim)));
  const first = Math.max(0, row - window + 1);
  const scores = Array.from({ length: row - first + 1 }, (_, index) =>
    score(options, { head, kvHead, row, key: first + index }),
  );
  const largest = Math.max(...scores);
  const shares = scores.map((value) => Math.exp(value - largest));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const output = new Float64Array(headDim);
  for (const [index, share] of shares.entries()) {
    const from = (first + index) * values.width + kvHead * headDim;
    for (let i = 0; i < headDim; i++) output[i]! += (share / total) * values.data[from + i]!;
  }
  return output;
}

interface Pair {
  readonly head: number;
  readonly kvHead: number;
  readonly row: number;
  readonly key: number;
}

function score({ queries, keys, headDim, slopes }: attend.Options, { head, kvHead, row, key }: Pair): number {
  const query = row * queries.width + head * headDim;
  const from = key * keys.width + kvHead * headDim;
  let dot = 0;
  for (let i = 0; i < headDim; i++) dot += queries.data[query + i]! * keys.data[from + i]!;
  return dot / Math.sqrt(headDim) - (slopes?.[head] ?? 0) * (row - key);
}
