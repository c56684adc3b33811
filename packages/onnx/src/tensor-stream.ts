import { type DataType, elementBytes } from "./data-type.js";

/**
 * A tensor whose bytes are made when they are written, in pieces of whole rows: little-endian, row-major. It never is in
 * memory as a whole.
 */
export interface TensorStream {
  readonly type: DataType;
  readonly dims: readonly number[];
  /**
   * Fills `target` with the rows from `start` on, a row being the last dimension. Pieces come in order, each once, the
   * first with `start` 0. What it throws reaches the caller of `drain`.
   */
  readonly fill: (target: Uint8Array, start: number) => void | Promise<void>;
}

/** Large enough for the disk's full speed. */
const PIECE_BYTES = 2 ** 22;

/** Two buffers that take turns: one is filled while the other is written. They are kept, since fresh memory is slow. */
export interface PieceBuffers {
  /** The next buffer, `byteLength` long. */
  next(byteLength: number): Uint8Array;
}

/** Buffers that grow to the longest piece. */
export function pieceBuffers(): PieceBuffers {
  const buffers = [new Uint8Array(0), new Uint8Array(0)];
  let turn = 0;
  return {
    next(byteLength) {
      turn = 1 - turn;
      if (buffers[turn]!.byteLength < byteLength) buffers[turn] = new Uint8Array(byteLength);
      return buffers[turn]!.subarray(0, byteLength);
    },
  };
}

/** Writes a stream: each piece is filled while the one before it is written. */
export async function writeStream(
  { type, dims, fill }: TensorStream,
  write: (bytes: Uint8Array) => Promise<void>,
  buffers: PieceBuffers,
): Promise<void> {
  const rowBytes = dims.at(-1)! * elementBytes(type);
  const rows = dims.slice(0, -1).reduce((product, dim) => product * dim, 1);
  const pieceRows = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
  let writing = Promise.resolve();
  for (let start = 0; start < rows; start += pieceRows) {
    const piece = buffers.next(Math.min(pieceRows, rows - start) * rowBytes);
    try {
      await fill(piece, start);
    } finally {
      await writing;
    }
    writing = write(piece);
    // It is awaited when the next piece is there; until then its failure is not unhandled.
    writing.catch(() => {});
  }
  await writing;
}
