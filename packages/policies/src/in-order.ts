import type { HeadView } from "./cache-view.js";

/** The slots of a head's tokens in the order of their positions; absent where they stand in it. */
export function slotsInOrder({ positions }: HeadView): Int32Array | undefined {
  if (positions.every((position, slot) => slot === 0 || positions[slot - 1]! < position)) return undefined;
  return Int32Array.from(positions.keys()).sort((a, b) => positions[a]! - positions[b]!);
}

/** The head with its tokens moved into the order of `slots`; keys and values are moved when they are read. */
export function reorder(head: HeadView, slots: Int32Array): HeadView {
  const { tokens } = head;
  return {
    tokens,
    queryHeads: head.queryHeads,
    queries: head.queries,
    get keys() {
      return gatherRows(head.keys, slots, head.keys.length / tokens);
    },
    get values() {
      return gatherRows(head.values, slots, head.values.length / tokens);
    },
    positions: slots.map((slot) => head.positions[slot]!),
    attention: head.attention && gatherColumns(head.attention, slots),
  };
}

/** Scores of a head by a rule that takes its tokens in the order of their positions. */
export function scoreInOrder(head: HeadView, score: (head: HeadView) => Float32Array): Float32Array {
  const slots = slotsInOrder(head);
  if (slots === undefined) return score(head);
  const ordered = score(reorder(head, slots));
  const scores = new Float32Array(ordered.length);
  for (const [place, slot] of slots.entries()) scores[slot] = ordered[place]!;
  return scores;
}

/** Rows `[indices, width]` of `[T, width]`. */
export function gatherRows(rows: Float32Array, indices: Int32Array, width: number): Float32Array {
  const gathered = new Float32Array(indices.length * width);
  for (const [place, index] of indices.entries()) {
    gathered.set(rows.subarray(index * width, (index + 1) * width), place * width);
  }
  return gathered;
}

/** Columns `[rows, indices]` of `[rows, T]`, where `indices` has all `T`. */
function gatherColumns(rows: Float32Array, indices: Int32Array): Float32Array {
  const width = indices.length;
  return rows.map((_, at) => rows[at - (at % width) + indices[at % width]!]!);
}
