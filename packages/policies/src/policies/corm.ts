import type { HeadView, LayerView } from "../cache-view.js";
import { attentionOf } from "../head-attention.js";
import { changeInOrder } from "../in-order.js";
import type { HeadChange, Policy } from "../policy.js";
import { cormKept, NEVER_IMPORTANT, noteImportance } from "../scores/corm.js";

export declare namespace corm {
  interface Options {
    /** Queries that must all have passed over a token before it goes: 256 unless given. */
    readonly window?: number;
    /** Latest tokens, which always stay: 256 unless given. */
    readonly recent?: number;
  }
}

/**
 * Drops, at every step, the tokens that none of the last queries found important (CORM, arXiv 2404.15949). There is no budget:
 * each head keeps what its text asks for.
 */
export function corm({ window = 256, recent = 256 }: corm.Options = {}, name = "corm"): Policy {
  const memory = new Map<string, Int32Array>();
  const keep = (layer: LayerView) =>
    layer.heads.map((head, index) => {
      const key = `${layer.layer}.${index}`;
      const last = remembered(memory.get(key), layer.seen, firstQuery(head, layer, window));
      memory.set(key, last);
      return changeInOrder(head, (ordered) => keepImportant(ordered, layer, { last, window, recent, name }));
    });
  return {
    name,
    action: "drop",
    needs: { attention: window },
    begin: () => corm({ window, recent }, name),
    afterPrefill: keep,
    afterStep: keep,
  };
}

/** By position, the position of the last query that found a token important, of one head. */
interface Remembering {
  readonly last: Int32Array;
  readonly window: number;
  readonly recent: number;
  readonly name: string;
}

/** Position of the first query that is seen now. */
const firstQuery = (
  { attention, queryHeads, tokens }: HeadView,
  { seen }: LayerView,
  window: number,
): number => seen - Math.min(window, (attention?.length ?? 0) / (queryHeads * tokens));

/**
 * What is known of `seen` tokens. Of those before the first query that is seen now, and that are not remembered, earlier queries
 * are not known: they count as important to the one before it.
 */
function remembered(before: Int32Array | undefined, seen: number, first: number): Int32Array {
  const last = new Int32Array(seen).fill(NEVER_IMPORTANT);
  last.fill(first - 1, 0, first);
  if (before !== undefined) last.set(before.subarray(0, first).map((step) => Math.min(step, first - 1)));
  return last;
}

function keepImportant(
  head: HeadView,
  layer: LayerView,
  { last, ...rest }: Remembering,
): HeadChange | undefined {
  const { positions } = head;
  const own = positions.map((position) => last[position]!);
  const rows = attentionOf(head, layer, rest.window, rest.name);
  const first = layer.seen - rows.queries;
  rows.visit((row, _head, query) => noteImportance(own, row, first + query));
  for (const [place, position] of positions.entries()) last[position] = own[place]!;
  const kept = cormKept({ lastImportant: own, step: layer.seen - 1, ...rest });
  return kept.length === head.tokens ? undefined : { kept };
}
