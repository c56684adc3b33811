import {
  type CacheLayout,
  type FloatSlot,
  floatSlots,
  type IndexInput,
  slotBytesPerToken,
} from "./cache-layout.js";
import { copyTokens } from "./cpu-memory.js";
import { EMPTY, grownSlots, wholeSlots } from "./empty-slots.js";
import { growableZeros, release, widen } from "./growable-memory.js";
import type { KvCache } from "./kv-cache.js";
import { Tensor } from "./port.js";
import { int64 } from "./tensors.js";

/** The cache of several sequences, whose tokens stand in the same slots. */
export interface DeltaCache extends KvCache {
  /** Goes on with some of the sequences, in the order given, and without the first slots, which are empty in all of them. */
  keep(sequences: readonly number[], emptySlots?: number): void;
  /** Leaves so many slots empty before the next tokens. */
  leaveEmpty(slots: number): void;
  /** Goes on with the sequences of another cache of as many slots as well, after its own. The other is of no more use. */
  add(other: DeltaCache): void;
  /** What it holds, for `add`. */
  readonly held: HeldSlots;
}

/** The memory of a cache: tensors `[B, heads, capacity, size]` and positions `[B, capacity]`. */
interface HeldSlots {
  readonly sequences: number;
  readonly capacity: number;
  readonly tensors: readonly Tensor[];
  readonly positions: BigInt64Array;
}

export declare namespace createDeltaCache {
  interface Options {
    /** `B`, 1 unless given. */
    readonly sequences?: number;
  }
}

/**
 * A cache that the runtime owns: tensors `[B, heads, capacity, size]` that the graph reads where they lie; of a run only the
 * rows of new tokens are copied in. It has a few empty slots, and says by `past_positions [B, capacity]` which these are.
 */
export function createDeltaCache(
  layout: CacheLayout,
  { sequences: initial = 1 }: createDeltaCache.Options = {},
): DeltaCache {
  const slots = floatSlots(layout);
  const { slotMultiple } = layout;
  const bytesPerToken = slotBytesPerToken(slots);
  let sequences = initial;
  let capacity = wholeSlots(0, slotMultiple);
  let length = 0;
  let positions = emptyPositions(sequences * capacity);
  const allocate = (slot: FloatSlot): Tensor =>
    growableZeros(slot.type, [sequences, slot.heads, capacity, slot.size]);
  let tensors: readonly Tensor[] = slots.map(allocate);
  const held = (): HeldSlots => ({ sequences, capacity, tensors, positions });

  const grow = (tokens: number): void => {
    if (tokens <= capacity) return;
    const before = held();
    capacity = grownSlots(tokens, slotMultiple);
    positions = emptyPositions(sequences * capacity);
    copyPositions(before, positions, { first: 0, capacity, length });
    tensors = tensors.map((tensor) => widen(tensor, capacity, length));
  };
  const append = (rows: readonly Tensor[], added: readonly number[]): void => {
    const count = added.length / sequences;
    grow(length + count);
    for (const [index, tensor] of tensors.entries()) copyTokens(rows[index]!, tensor, count, length);
    for (const [index, position] of added.entries()) {
      const sequence = Math.floor(index / count);
      positions[sequence * capacity + length + (index % count)] = BigInt(position);
    }
    length += count;
  };
  const truncate = (count: number): void => {
    for (let sequence = 0; sequence < sequences; sequence++)
      positions.fill(EMPTY, sequence * capacity + count, (sequence + 1) * capacity);
    length = count;
  };
  const indexTensors: Readonly<Record<IndexInput, () => Tensor>> = {
    past_positions: () => new Tensor("int64", positions, [sequences, capacity]),
    past_length: () => int64([length], []),
  };
  return {
    get length() {
      return length;
    },
    get bytes() {
      return sequences * capacity * bytesPerToken;
    },
    reserve() {},
    feeds: () => ({
      ...Object.fromEntries(slots.map(({ past }, index) => [past, tensors[index]!])),
      ...Object.fromEntries(layout.indexInputs.map((name) => [name, indexTensors[name]()])),
    }),
    fetches: () => Object.fromEntries(slots.map(({ present }) => [present, null])),
    commit: (results, added) =>
      append(
        slots.map(({ present }) => results[present]!),
        added,
      ),
    tensors: () => tensors,
    restore: append,
    truncate,
    clear: () => truncate(0),
    keep(chosen, emptySlots = 0) {
      const before = held();
      const end = length;
      length -= emptySlots;
      capacity = grownSlots(length, slotMultiple);
      sequences = chosen.length;
      positions = emptyPositions(sequences * capacity);
      for (const [to, from] of chosen.entries()) {
        const row = from * before.capacity;
        positions.set(before.positions.subarray(row + emptySlots, row + end), to * capacity);
      }
      tensors = slots.map((slot, index) => {
        const kept = allocate(slot);
        copySequences(before.tensors[index]!, kept, { chosen, start: emptySlots, end });
        release(before.tensors[index]!);
        return kept;
      });
    },
    leaveEmpty(count) {
      grow(length + count);
      length += count;
    },
    add({ held: other }) {
      const own = held();
      capacity = Math.max(capacity, other.capacity);
      sequences += other.sequences;
      positions = emptyPositions(sequences * capacity);
      copyPositions(own, positions, { first: 0, capacity, length });
      copyPositions(other, positions, { first: own.sequences, capacity, length });
      tensors = slots.map((slot, index) => {
        const both = allocate(slot);
        copyTokens(own.tensors[index]!, both, length);
        copyTokens(other.tensors[index]!, both, length, own.sequences * slot.heads * capacity);
        release(own.tensors[index]!);
        return both;
      });
    },
    get held() {
      return held();
    },
    dispose() {
      for (const tensor of tensors) release(tensor);
      tensors = [];
    },
  };
}

/** Copies the positions of the first `length` slots of each sequence to sequences `first …` of another capacity. */
function copyPositions(
  from: HeldSlots,
  to: BigInt64Array,
  { first, capacity, length }: { readonly first: number; readonly capacity: number; readonly length: number },
): void {
  for (let sequence = 0; sequence < from.sequences; sequence++) {
    const start = sequence * from.capacity;
    to.set(from.positions.subarray(start, start + length), (first + sequence) * capacity);
  }
}

const emptyPositions = (count: number): BigInt64Array<ArrayBuffer> => new BigInt64Array(count).fill(EMPTY);

/** Copies slots `[start, end)` of some sequences of a cache to the first slots of those of another. */
function copySequences(
  from: Tensor,
  to: Tensor,
  {
    chosen,
    start,
    end,
  }: { readonly chosen: readonly number[]; readonly start: number; readonly end: number },
): void {
  const [, heads, capacity, size] = from.dims as [number, number, number, number];
  const source = from.data as Float32Array;
  const target = to.data as Float32Array;
  for (const [sequence, chosenSequence] of chosen.entries())
    for (let head = 0; head < heads; head++) {
      const first = (chosenSequence * heads + head) * capacity;
      const rows = source.subarray((first + start) * size, (first + end) * size);
      target.set(rows, (sequence * heads + head) * to.dims[2]! * size);
    }
}
