import type { HeadView } from "./cache-view.js";
import type { KeptTokens } from "./policy.js";

/** The slots of a head's tokens in the order of their positions; absent where they stand in it. */
export function slotsInOrder({ positions }: HeadView): Int32Array | undefined {
  if (positions.every((position, slot) => slot === 0 || positions[slot - 1]! < position)) return undefined;
  return Int32Array.from(positions.keys()).sort((a, b) => positions[a]! - positions[b]!);
}

/** The head with its tokens moved into the order of `slots`; keys and values are moved when they are read. */
export function reorder(head: HeadView, slots: Int32Array): HeadView {
  const { tokens, attentionSums } = head;
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
    attentionSums: attentionSums && { ...attentionSums, sums: gatherColumns(attentionSums.sums, slots) },
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

/** A change of a head by a rule that takes its tokens in the order of their positions. */
export function changeInOrder(
  head: HeadView,
  change: (head: HeadView) => KeptTokens | undefined,
): KeptTokens | undefined {
  const slots = slotsInOrder(head);
  if (slots === undefined) return change(head);
  const ordered = change(reorder(head, slots));
  return ordered && backToSlots(ordered, slots);
}

/** The same change for tokens that stand in `slots`. */
function backToSlots({ kept, keys, values }: KeptTokens, slots: Int32Array): KeptTokens {
  const order = Int32Array.from(kept.keys()).sort((a, b) => slots[kept[a]!]! - slots[kept[b]!]!);
  return {
    kept: order.map((row) => slots[kept[row]!]!),
    keys: keys && gatherRows(keys, order, keys.length / kept.length),
    values: values && gatherRows(values, order, values.length / kept.length),
  };
}

/** Rows `[indices, width]` of `[T, width]`. */
function gatherRows(rows: Float32Array, indices: Int32Array, width: number): Float32Array {
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
