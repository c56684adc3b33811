import { type CacheLayout, type CacheSlot, cacheSlots, elementBytes, type IndexInput } from "./cache-layout.js";
import { cpuMemory } from "./cpu-memory.js";
import type { KvCache } from "./kv-cache.js";
import { Tensor } from "./port.js";
import { int64, zeros } from "./tensors.js";

/** Rows of one part of a layer's cache, `[1, heads, capacity, size]`. */
interface Buffer {
  readonly slot: CacheSlot;
  readonly tensor: Tensor;
}

/** A full cache grows by this share of its tokens: empty slots are read at every step, and copies are rare. */
const GROWTH = 1 / 16;
/** What a slot without a token has for its position. */
const EMPTY = -1n;

/**
 * A cache that the runtime owns: the graph reads it where it lies, and of a run only the rows of new tokens are copied in.
 * It has a few empty slots, and says by `past_positions` which these are.
 */
export function createDeltaCache(layout: CacheLayout): KvCache {
  const slots = cacheSlots(layout);
  const { slotMultiple } = layout;
  const roundUp = (tokens: number): number => Math.max(1, Math.ceil(tokens / slotMultiple)) * slotMultiple;
  let capacity = roundUp(0);
  let length = 0;
  let positions = emptyPositions(capacity);
  let buffers: readonly Buffer[] = slots.map((slot) => ({ slot, tensor: zeros(slot.type, dimsOf(slot, capacity)) }));

  const indexTensors: Readonly<Record<IndexInput, () => Tensor>> = {
    past_positions: () => new Tensor("int64", positions, [1, capacity]),
    past_length: () => int64([length], []),
  };
  const grow = (tokens: number): void => {
    if (tokens <= capacity) return;
    capacity = roundUp(tokens + Math.floor(tokens * GROWTH));
    const kept = positions.subarray(0, length);
    positions = emptyPositions(capacity);
    positions.set(kept);
    buffers = buffers.map(({ slot, tensor }) => {
      const larger = zeros(slot.type, dimsOf(slot, capacity));
      cpuMemory.copyTokens(tensor, larger, length);
      return { slot, tensor: larger };
    });
  };
  const truncate = (count: number): void => {
    positions.fill(EMPTY, count);
    length = count;
  };
  return {
    get length() {
      return length;
    },
    get bytes() {
      return slots.reduce((sum, slot) => sum + slot.heads * slot.size * capacity * elementBytes(slot), 0);
    },
    reserve() {},
    feeds: () => ({
      ...Object.fromEntries(buffers.map(({ slot, tensor }) => [slot.past, tensor])),
      ...Object.fromEntries(layout.indexInputs.map((name) => [name, indexTensors[name]()])),
    }),
    fetches: () => Object.fromEntries(slots.map(({ present }) => [present, null])),
    commit(results, added) {
      grow(length + added.length);
      for (const { slot, tensor } of buffers) copyRows(results[slot.present]!, tensor, length);
      for (const [index, position] of added.entries()) positions[length + index] = BigInt(position);
      length += added.length;
    },
    truncate,
    clear: () => truncate(0),
    dispose() {
      buffers = [];
    },
  };
}

const dimsOf = ({ heads, size }: CacheSlot, tokens: number): readonly number[] => [1, heads, tokens, size];

const emptyPositions = (capacity: number): BigInt64Array<ArrayBuffer> =>
  new BigInt64Array(capacity).fill(EMPTY);

/** Puts rows `[1, heads, S, size]` into slots `start …` of a cache `[1, heads, capacity, size]`. */
function copyRows(rows: Tensor, cache: Tensor, start: number): void {
  const [, heads, count, size] = rows.dims as [number, number, number, number];
  const capacity = cache.dims[2]!;
  const source = rows.data as Float32Array;
  const target = cache.data as Float32Array;
  for (let head = 0; head < heads; head++) {
    const own = source.subarray(head * count * size, (head + 1) * count * size);
    target.set(own, (head * capacity + start) * size);
  }
}
