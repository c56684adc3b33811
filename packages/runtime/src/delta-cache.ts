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
  /** Goes on with some of the sequences, in the order given. */
  keep(sequences: readonly number[]): void;
  /** Leaves so many slots empty before the next tokens. */
  leaveEmpty(slots: number): void;
  /** Goes on with the sequences of another cache of as many slots as well, behind its own. The other is of no more use. */
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
    keep(chosen) {
      positions = pick(positions, chosen, sequences);
      tensors = tensors.map((tensor) => pickSequences(tensor, chosen));
      sequences = chosen.length;
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

/** Some rows of an array that has `rows` of them. */
function pick<T extends BigInt64Array<ArrayBuffer> | Float32Array<ArrayBuffer>>(
  data: T,
  chosen: readonly number[],
  rows: number,
): T {
  const width = data.length / rows;
  const picked = data.slice(0, chosen.length * width) as T;
  for (const [index, row] of chosen.entries())
    picked.set(data.subarray(row * width, (row + 1) * width) as never, index * width);
  return picked;
}

function pickSequences(tensor: Tensor, chosen: readonly number[]): Tensor {
  const [sequences, ...dims] = tensor.dims as [number, ...number[]];
  const data = pick(tensor.data as Float32Array<ArrayBuffer>, chosen, sequences);
  release(tensor);
  return new Tensor(tensor.type as "float32", data, [chosen.length, ...dims]);
}
