/** Columns of a block: wide enough that its products run at full speed, narrow enough to skip much of the other half. */
const BLOCK_WIDTH = 256;

/** A block row of a gram's upper half: rows `[start, end)`, columns `[start, width)`. */
export interface GramBlock {
  readonly start: number;
  readonly end: number;
}

/**
 * How graphs output a gram `[width, width]`: the block rows of its upper half, concatenated, since the gram is symmetric.
 * Up to a width of 256 that is the whole gram; wider ones approach half of it.
 */
export function gramBlocks(width: number): readonly GramBlock[] {
  return Array.from({ length: Math.ceil(width / BLOCK_WIDTH) }, (_, index) => ({
    start: index * BLOCK_WIDTH,
    end: Math.min((index + 1) * BLOCK_WIDTH, width),
  }));
}

/** Numbers in the block rows of a gram. */
export const gramBlocksSize = (width: number): number =>
  gramBlocks(width).reduce((total, { start, end }) => total + (end - start) * (width - start), 0);

/** Columns that are turned into rows together, so that what they are written to is still in the cache. */
const TURNED_COLUMNS = 32;

/**
 * The whole gram `[width, width]` from its block rows, in the array that begins with them: a wide gram takes gigabytes,
 * and a second array would double that. The buffer of `blocks` must have room for the whole gram; `blocks` itself is overwritten.
 */
export function unpackGram(blocks: Float64Array, width: number): Float64Array {
  const gram = new Float64Array(blocks.buffer, blocks.byteOffset, width * width);
  // From the last row to the first: no row moves to where another still lies, since each moves towards the end.
  let offset = gramBlocksSize(width);
  for (const { start, end } of [...gramBlocks(width)].reverse()) {
    for (let row = end - 1; row >= start; row--) {
      offset -= width - start;
      gram.copyWithin(row * width + start, offset, offset + width - start);
    }
  }
  for (const block of gramBlocks(width))
    for (let col = block.end; col < width; col += TURNED_COLUMNS)
      mirror(gram, width, block, [col, Math.min(col + TURNED_COLUMNS, width)]);
  return gram;
}

/** Copies the rows `[start, end)` of some columns to where the lower half says the same. */
function mirror(
  gram: Float64Array,
  width: number,
  { start, end }: GramBlock,
  [first, last]: readonly [number, number],
): void {
  for (let row = start; row < end; row++)
    for (let col = first; col < last; col++) gram[col * width + row] = gram[row * width + col]!;
}
