import type { HeadView, LayerView } from "../cache-view.js";
import { lastRows } from "../head-attention.js";
import type { HeadChange, Policy } from "../policy.js";
import { PolicyError } from "../policy-error.js";
import { cormKept, firstOfLatest, importantShare, NEVER_IMPORTANT, noteImportance } from "../scores/corm.js";

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
  const memories = new Map<string, Memory>();
  const memoryOf = (layer: number, head: number): Memory => {
    const key = `${layer}.${head}`;
    const memory = memories.get(key) ?? { last: new Int32Array(), seen: 0 };
    memories.set(key, memory);
    return memory;
  };
  const keep = (layer: LayerView) =>
    layer.heads.map((head, index) =>
      keepImportant(head, layer, memoryOf(layer.layer, index), { window, recent, name }),
    );
  return {
    name,
    action: "drop",
    needs: { attention: window },
    begin: () => corm({ window, recent }, name),
    afterPrefill: keep,
    afterStep: keep,
  };
}

/** What earlier queries found in one head. */
interface Memory {
  /** By position, the position of the last query that found a token important. It has room for more than `seen`. */
  last: Int32Array;
  /** How many positions of `last` are filled. */
  seen: number;
}

/**
 * Takes in `seen` tokens of which only the queries from `first` are seen now. Of those before it that are not remembered,
 * earlier queries are not known: they count as important to the one before it.
 */
function remember(memory: Memory, seen: number, first: number): void {
  const { last, seen: before } = memory;
  if (last.length < seen) {
    memory.last = new Int32Array(2 * seen);
    memory.last.set(last);
  }
  // A sequence that was cut and goes on has queries anew.
  if (before > first)
    for (let at = 0; at < first; at++) memory.last[at] = Math.min(memory.last[at]!, first - 1);
  memory.last.fill(first - 1, Math.min(before, first), first);
  memory.last.fill(NEVER_IMPORTANT, first, seen);
  memory.seen = seen;
}

interface Keeping {
  readonly window: number;
  readonly recent: number;
  readonly name: string;
}

function keepImportant(
  head: HeadView,
  { seen }: LayerView,
  memory: Memory,
  { window, recent, name }: Keeping,
): HeadChange | undefined {
  const { positions, tokens } = head;
  const rows = lastAttention(head, window, name);
  const first = seen - rows.length / head.queryHeads;
  remember(memory, seen, first);
  const { last } = memory;
  if (first === seen - 1) return keepAfterStep(head, rows, last, { step: first, window, recent });
  const own = Int32Array.from(positions, (position) => last[position]!);
  const visible = visibleTokens(positions, first, seen - first);
  for (const [index, row] of rows.entries()) {
    const query = index % visible.length;
    noteImportance(own, row, first + query, visible[query]!);
  }
  for (let slot = 0; slot < tokens; slot++) last[positions[slot]!] = own[slot]!;
  const kept = cormKept({ lastImportant: own, positions, step: seen - 1, window, recent });
  return kept.length === tokens ? undefined : { kept };
}

interface Step {
  readonly step: number;
  readonly window: number;
  readonly recent: number;
}

/**
 * The same after one query, which sees all tokens. It runs for each head at each step: it goes over the tokens once where none
 * goes, and makes no arrays.
 */
function keepAfterStep(
  { positions, tokens }: HeadView,
  rows: readonly Float32Array[],
  last: Int32Array,
  { step, window, recent }: Step,
): HeadChange | undefined {
  const share = importantShare(tokens);
  for (const row of rows) noteAt(last, { row, positions, share, step });
  const oldest = step - window + 1;
  if (oldest < 0) return undefined;
  const latest = firstOfLatest(positions, recent, step);
  const count = countUnimportant(positions, last, { oldest, latest });
  return count === 0 ? undefined : { dropped: listUnimportant(positions, last, { oldest, latest, count }) };
}

interface Noting {
  readonly row: Float32Array;
  readonly positions: Int32Array;
  readonly share: number;
  readonly step: number;
}

/** Notes the step at the positions of the tokens that it pays a share or more. */
function noteAt(last: Int32Array, { row, positions, share, step }: Noting): void {
  for (let slot = 0; slot < row.length; slot++) if (row[slot]! >= share) last[positions[slot]!] = step;
}

/** Unimportant are tokens before `latest` that no query from `oldest` on found important. */
interface Bounds {
  readonly oldest: number;
  readonly latest: number;
}

function countUnimportant(positions: Int32Array, last: Int32Array, { oldest, latest }: Bounds): number {
  let count = 0;
  for (let slot = 0; slot < positions.length; slot++) {
    const position = positions[slot]!;
    if (position < latest && last[position]! < oldest) count++;
  }
  return count;
}

function listUnimportant(
  positions: Int32Array,
  last: Int32Array,
  { oldest, latest, count }: Bounds & { readonly count: number },
): Int32Array {
  const slots = new Int32Array(count);
  for (let slot = 0, place = 0; place < count; slot++) {
    const position = positions[slot]!;
    if (position < latest && last[position]! < oldest) slots[place++] = slot;
  }
  return slots;
}

/** Attention of the last queries of each query head, at most `window` of each. */
function lastAttention(
  { attention, queryHeads, tokens }: HeadView,
  window: number,
  name: string,
): readonly Float32Array[] {
  if (attention === undefined)
    throw new PolicyError(
      `${name}: expected the attention of the last tokens, found none: createState's observe has it kept, and layers of joint latents have none`,
    );
  const weights = lastRows(attention, { heads: queryHeads, width: tokens, count: window });
  return Array.from({ length: weights.length / tokens }, (_, row) =>
    weights.subarray(row * tokens, (row + 1) * tokens),
  );
}

/** How many tokens each of the queries at `first` and after it could see. */
function visibleTokens(positions: Int32Array, first: number, queries: number): Int32Array {
  const visible = new Int32Array(queries).fill(positions.length);
  for (let slot = 0; slot < positions.length; slot++)
    for (let query = positions[slot]! - first - 1; query >= 0; query--) visible[query]!--;
  return visible;
}
