import type { HalfDtype } from "@kvfold/safetensors";

/** A matrix of sixteen-bit floats that lies in a checkpoint, and is read when an output writes it. */
export interface StoredMatrix {
  readonly dtype: HalfDtype;
  readonly rows: number;
  readonly columns: number;
  /** Reads whole rows from row `start` on, as many as `bits` holds, without checking their values. */
  read(start: number, bits: Uint16Array): Promise<void>;
  /** All of it as numbers, after checking that they are finite. */
  numbers(): Promise<Float32Array>;
  /** Where memory for its bits comes from. */
  readonly buffers: HalfBuffers;
}

/** Memory that is used again: new memory costs more than all the work on it. */
export interface HalfBuffers {
  take(length: number): Uint16Array;
  /** Gives back what `take` gave; it is overwritten later. */
  give(bits: Uint16Array): void;
}

/** Buffers that are not in use, as many as were ever used at once. */
export function halfBuffers(): HalfBuffers {
  const spare: ArrayBuffer[] = [];
  return {
    take(length) {
      const byteLength = 2 * length;
      const index = spare.findIndex((buffer) => buffer.byteLength >= byteLength);
      // One that is too small makes room for one that is not.
      const [found] = spare.splice(Math.max(index, 0), 1);
      const buffer = index < 0 ? new ArrayBuffer(byteLength) : found!;
      return new Uint16Array(buffer, 0, length);
    },
    give: (bits) => void spare.push(bits.buffer as ArrayBuffer),
  };
}

/** Rows `[start, end)`. */
interface RowRange {
  readonly start: number;
  readonly end: number;
}

/** The rows in `ranges`, one below the other. */
export function selectRows(matrix: StoredMatrix, ranges: readonly RowRange[]): StoredMatrix {
  const { columns } = matrix;
  const rows = ranges.reduce((total, { start, end }) => total + end - start, 0);
  return {
    ...matrix,
    rows,
    async read(start, bits) {
      for (const part of overlaps(ranges, start, start + bits.length / columns)) {
        const at = (part.at - start) * columns;
        await matrix.read(part.start, bits.subarray(at, at + (part.end - part.start) * columns));
      }
    },
    async numbers() {
      const all = await matrix.numbers();
      const picked = new Float32Array(rows * columns);
      for (const part of overlaps(ranges, 0, rows))
        picked.set(all.subarray(part.start * columns, part.end * columns), part.at * columns);
      return picked;
    },
  };
}

/** The parts of `ranges` that rows `[from, to)` of the selection are, and at which row of the selection each lies. */
function overlaps(ranges: readonly RowRange[], from: number, to: number) {
  const parts: (RowRange & { readonly at: number })[] = [];
  let first = 0;
  for (const { start, end } of ranges) {
    const [low, high] = [Math.max(from, first), Math.min(to, first + end - start)];
    if (low < high) parts.push({ start: start + low - first, end: start + high - first, at: low });
    first += end - start;
  }
  return parts;
}

/** The rows of each head in another order: row `i` of a head is what `order[i]` was. */
export function reorderRows(matrix: StoredMatrix, order: readonly number[]): StoredMatrix {
  const { columns, buffers } = matrix;
  const size = order.length;
  const placeOf = (row: number) => row - (row % size) + order[row % size]!;
  return {
    ...matrix,
    async read(start, bits) {
      const end = start + bits.length / columns;
      const first = start - (start % size);
      const heads = buffers.take((Math.ceil(end / size) * size - first) * columns);
      await matrix.read(first, heads);
      for (let row = start; row < end; row++) {
        const at = (placeOf(row) - first) * columns;
        bits.set(heads.subarray(at, at + columns), (row - start) * columns);
      }
      buffers.give(heads);
    },
    async numbers() {
      const from = await matrix.numbers();
      const moved = new Float32Array(from.length);
      for (let row = 0; row < matrix.rows; row++)
        moved.set(from.subarray(placeOf(row) * columns, (placeOf(row) + 1) * columns), row * columns);
      return moved;
    },
  };
}
