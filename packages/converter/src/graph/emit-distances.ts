import type { Emitter, QueryBlock } from "@kvfold/decoder/graph";
import { emitSlice } from "@kvfold/decoder/graph";

/**
 * Sums over the diagonals of weights `[1, H, B, T]` of the queries of each block and the keys up to its end: the weight of
 * each distance `m - n` from a query back to a key, `[1, H, length]`.
 */
export function emitDistances(
  e: Emitter,
  weights: readonly string[],
  { heads, length, queryBlocks }: emitDistances.Options,
): string {
  const blocks = queryBlocks ?? [{ start: 0, end: length }];
  const parts = blocks.map((block, index) => {
    const part = e.at(`block.${index}`);
    return emitPadded(part, emitDiagonalSums(part, weights[index]!, heads, block), length - block.end);
  });
  return parts.length === 1 ? parts[0]! : e.node("Sum", "Sum", parts);
}

export declare namespace emitDistances {
  interface Options {
    readonly heads: number;
    /** Tokens of the window. */
    readonly length: number;
    /** Blocks of all queries; one block without it. */
    readonly queryBlocks: readonly QueryBlock[] | undefined;
  }
}

/**
 * `[1, H, T]` of one block. With the keys in reverse order, `j = T - 1 - n`, and rows of one more number each time the next
 * begins, entry `(i, j)` lies in column `i + j`, which is the distance plus `B - 1`.
 */
function emitDiagonalSums(e: Emitter, weights: string, heads: number, { start, end }: QueryBlock): string {
  const [rows, keys] = [end - start, end];
  const skewed = rows + keys - 1;
  const reversed = e.node("Slice", "reverse/Slice", [
    weights,
    e.graph.int64([-1]),
    e.graph.int64([-keys - 1]),
    e.graph.int64([3]),
    e.graph.int64([-1]),
  ]);
  const padded = emitPad(e, reversed, [0, 0, 0, 0, 0, 0, 0, rows]);
  const flat = e.reshape("flat/Reshape", padded, [1, heads, -1]);
  const cut = emitSlice(e.at("cut"), flat, 2, 0, rows * skewed);
  const shifted = e.reshape("shifted/Reshape", cut, [1, heads, rows, skewed]);
  const sums = e.node("ReduceSum", "ReduceSum", [shifted, e.graph.int64([2])], {
    attributes: { keepdims: 0 },
  });
  return emitSlice(e.at("distances"), sums, 2, rows - 1, skewed);
}

/** `[1, H, T]` with zeros after it. */
const emitPadded = (e: Emitter, sums: string, count: number): string =>
  count === 0 ? sums : emitPad(e.at("behind"), sums, [0, 0, 0, 0, 0, count]);

const emitPad = (e: Emitter, value: string, pads: readonly number[]): string =>
  e.node("Pad", "Pad", [value, e.graph.int64(pads)]);
