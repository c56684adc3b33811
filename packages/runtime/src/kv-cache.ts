import { type CacheLayout, type FloatSlot, floatSlots, slotBytesPerToken } from "./cache-layout.js";
import { cpuMemory } from "./cpu-memory.js";
import type { Feeds, Results, Tensor, TensorMemory } from "./port.js";
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
  /** Takes in what a run of tokens at these positions left. */
  commit(results: Results, positions: readonly number[]): void;
  /** What it holds, `[1, heads, capacity, size]` for each slot of the layout in order; the first `length` rows count. */
  tensors(): readonly Tensor[];
  /** Takes in tokens that another cache held, `[1, heads, T, size]` for each slot, when it is empty. */
  restore(tensors: readonly Tensor[], positions: readonly number[]): void;
  /** Forgets all tokens but the first `count`. */
  truncate(count: number): void;
  /** Forgets all tokens. */
  clear(): void;
  /** Gives back all memory. */
  dispose(): void;
}

/** A slot and the tensor `[1, heads, T, size]` that holds it. */
interface Entry {
  readonly slot: FloatSlot;
  readonly tensor: Tensor;
}

export declare namespace createInPlaceCache {
  interface Options {
    /** Tokens there is room for at first. */
    readonly capacity?: number;
    /** Tokens there is never need for more than. */
    readonly limit?: number;
    /** Where its tensors lie: the session's, where it has one. */
    readonly memory?: TensorMemory | undefined;
  }
}

/**
 * A cache whose tensors `[1, heads, capacity, size]` are past and present at once: a run adds its tokens and copies
 * nothing. When full, it moves to tensors of twice the capacity.
 */
export function createInPlaceCache(
  layout: CacheLayout,
  {
    capacity: initial = 256,
    limit = Number.POSITIVE_INFINITY,
    memory = cpuMemory,
  }: createInPlaceCache.Options = {},
): KvCache {
  const slots = floatSlots(layout);
  const bytesPerToken = slotBytesPerToken(slots);
  let capacity = Math.min(initial, limit);
  let length = 0;
  const allocate = (slot: FloatSlot, tokens: number): Tensor =>
    memory.allocate(slot.type, dimsOf(slot, tokens));
  const entries: Entry[] = slots.map((slot) => ({ slot, tensor: allocate(slot, capacity) }));
  return {
    get length() {
      return length;
    },
    get bytes() {
      return capacity * bytesPerToken;
    },
    reserve(count) {
      const needed = length + count;
      if (needed <= capacity) return;
      const larger = Math.max(needed, Math.min(2 * capacity, limit));
      // One at a time, for the sake of the peak; should memory run out midway, every layer still has its tokens.
      for (const [index, { slot, tensor }] of entries.entries()) {
        entries[index] = { slot, tensor: allocate(slot, larger) };
        memory.copyTokens(tensor, entries[index].tensor, length);
        release(tensor);
      }
      capacity = larger;
    },
    feeds: () => pasts(entries),
    fetches: () => Object.fromEntries(entries.map(({ slot, tensor }) => [slot.present, tensor])),
    commit(_, { length: count }) {
      length += count;
    },
    tensors: () => entries.map(({ tensor }) => tensor),
    restore(tensors, { length: count }) {
      this.reserve(count);
      for (const [index, { tensor }] of entries.entries()) memory.copyTokens(tensors[index]!, tensor, count);
      length = count;
    },
    truncate(count) {
      length = count;
    },
    clear() {
      length = 0;
    },
    dispose: () => releaseAll(entries),
  };
}

export declare namespace createGrowingCache {
  interface Options {
    /** Where presents lie that are not on the CPU: the session's memory, where it has one. */
    readonly memory?: TensorMemory | undefined;
  }
}

/** A cache whose tensors `[1, heads, T, size]` are replaced by every run's presents. Works with every graph. */
export function createGrowingCache(
  layout: CacheLayout,
  { memory = cpuMemory }: createGrowingCache.Options = {},
): KvCache {
  const slots = floatSlots(layout);
  const bytesPerToken = slotBytesPerToken(slots);
  const empty = (): readonly Entry[] =>
    slots.map((slot) => ({ slot, tensor: zeros(slot.type, dimsOf(slot, 0)) }));
  let length = 0;
  let entries = empty();
  return {
    get length() {
      return length;
    },
    get bytes() {
      return length * bytesPerToken;
    },
    reserve() {},
    feeds: () => pasts(entries),
    fetches: () => Object.fromEntries(slots.map(({ present }) => [present, null])),
    commit(results, { length: count }) {
      length += count;
      releaseAll(entries);
      entries = slots.map((slot) => ({ slot, tensor: results[slot.present]! }));
    },
    tensors: () => entries.map(({ tensor }) => tensor),
    restore(tensors, { length: count }) {
      entries = slots.map((slot, index) => ({ slot, tensor: tensors[index]! }));
      length = count;
    },
    truncate(count) {
      if (count === length) return;
      const shorter = entries.map(({ slot, tensor }) => ({
        slot,
        tensor: shorten(tensor, slot, count, memory),
      }));
      releaseAll(entries);
      entries = shorter;
      length = count;
    },
    clear() {
      length = 0;
      releaseAll(entries);
      entries = empty();
    },
    dispose: () => releaseAll(entries),
  };
}

const dimsOf = ({ heads, size }: FloatSlot, tokens: number): readonly number[] => [1, heads, tokens, size];

/** The first `tokens` of a cache, in a tensor of their own beside it. */
function shorten(tensor: Tensor, slot: FloatSlot, tokens: number, memory: TensorMemory): Tensor {
  const home = tensor.location === "cpu" ? cpuMemory : memory;
  const shorter = home.allocate(slot.type, dimsOf(slot, tokens));
  home.copyTokens(tensor, shorter, tokens);
  return shorter;
}

const pasts = (entries: readonly Entry[]): Feeds =>
  Object.fromEntries(entries.map(({ slot, tensor }) => [slot.past, tensor]));

function releaseAll(entries: readonly Entry[]): void {
  for (const { tensor } of entries) release(tensor);
}

/** Memory of a GPU is not collected; a tensor on the CPU has nothing to release. */
function release(tensor: Tensor): void {
  if (tensor.location !== "cpu") tensor.dispose();
}
