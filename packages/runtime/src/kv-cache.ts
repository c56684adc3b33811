import { type CacheLayout, type CacheSlot, cacheSlots, elementBytes } from "./cache-layout.js";
import type { Feeds, Results, Tensor } from "./port.js";
import { zeros } from "./tensors.js";

/** The keys and values of the tokens so far, and how they enter and leave a run. */
export interface KvCache {
  /** Tokens in the cache. */
  readonly length: number;
  /** Bytes that the cache occupies now, those of tokens to come included. */
  readonly bytes: number;
  /** Makes room for `count` more tokens. */
  reserve(count: number): void;
  /** The pasts that the next run is fed. */
  feeds(): Feeds;
  /** Where the next run puts its presents. */
  fetches(): Readonly<Record<string, Tensor | null>>;
  /** Takes in what a run of `count` tokens left. */
  commit(results: Results, count: number): void;
  /** Forgets all tokens. */
  clear(): void;
}

/** A slot and the tensor `[1, heads, T, size]` that holds it. */
interface Entry {
  readonly slot: CacheSlot;
  readonly tensor: Tensor;
}

export declare namespace createInPlaceCache {
  interface Options {
    /** Tokens there is room for at first. */
    readonly capacity?: number;
    /** Tokens there is never need for more than. */
    readonly limit?: number;
  }
}

/**
 * A cache whose tensors `[1, heads, capacity, size]` are past and present at once: a run adds its tokens and copies
 * nothing. When full, it moves to tensors of twice the capacity.
 */
export function createInPlaceCache(
  layout: CacheLayout,
  { capacity: initial = 256, limit = Number.POSITIVE_INFINITY }: createInPlaceCache.Options = {},
): KvCache {
  const slots = cacheSlots(layout);
  let capacity = Math.min(initial, limit);
  let length = 0;
  let entries = slots.map((slot) => allocate(slot, capacity));
  return {
    get length() {
      return length;
    },
    get bytes() {
      return occupiedBytes(slots, capacity);
    },
    reserve(count) {
      const needed = length + count;
      if (needed <= capacity) return;
      capacity = Math.max(needed, Math.min(2 * capacity, limit));
      entries = entries.map((entry) => moveTokens(entry, allocate(entry.slot, capacity), length));
    },
    feeds: () => pasts(entries),
    fetches: () => Object.fromEntries(entries.map(({ slot, tensor }) => [slot.present, tensor])),
    commit(_, count) {
      length += count;
    },
    clear() {
      length = 0;
    },
  };
}

/** A cache whose tensors `[1, heads, T, size]` are replaced by every run's presents. Works with every graph. */
export function createGrowingCache(layout: CacheLayout): KvCache {
  const slots = cacheSlots(layout);
  let length = 0;
  let entries = slots.map((slot) => allocate(slot, 0));
  return {
    get length() {
      return length;
    },
    get bytes() {
      return occupiedBytes(slots, length);
    },
    reserve() {},
    feeds: () => pasts(entries),
    fetches: () => Object.fromEntries(slots.map(({ present }) => [present, null])),
    commit(results, count) {
      length += count;
      for (const { tensor } of entries) release(tensor);
      entries = slots.map((slot) => ({ slot, tensor: results[slot.present]! }));
    },
    clear() {
      length = 0;
      for (const { tensor } of entries) release(tensor);
      entries = slots.map((slot) => allocate(slot, 0));
    },
  };
}

const allocate = (slot: CacheSlot, capacity: number): Entry => ({
  slot,
  tensor: zeros(slot.type, [1, slot.heads, capacity, slot.size]),
});

const pasts = (entries: readonly Entry[]): Feeds =>
  Object.fromEntries(entries.map(({ slot, tensor }) => [slot.past, tensor]));

const occupiedBytes = (slots: readonly CacheSlot[], tokens: number): number =>
  slots.reduce((sum, slot) => sum + slot.heads * slot.size * tokens * elementBytes(slot), 0);

/** Copies the first `tokens` of every head: heads lie `capacity` tokens apart, so each moves on its own. */
function moveTokens(from: Entry, to: Entry, tokens: number): Entry {
  const { heads, size } = from.slot;
  const source = from.tensor.data as Float32Array;
  const target = to.tensor.data as Float32Array;
  const sourceStride = source.length / heads;
  const targetStride = target.length / heads;
  for (let head = 0; head < heads; head++) {
    const start = head * sourceStride;
    target.set(source.subarray(start, start + tokens * size), head * targetStride);
  }
  return to;
}

/** Memory of a GPU is not collected; a tensor on the CPU has nothing to release. */
function release(tensor: Tensor): void {
  if (tensor.location !== "cpu") tensor.dispose();
}
