/** Edge of the square tiles: 16 x 16 floats of source and target stay in the first-level cache. */
const TILE = 16;

/**
 * Transposes a row-major `[rows, cols]` matrix into `[cols, rows]`, tile by tile. The target is written in order: rows of
 * a power of two bytes share lines of the cache, which costs less where they are only read.
 */
export function transposeFloats(source: Float32Array, rows: number, cols: number): Float32Array {
  const target = new Float32Array(source.length);
  for (let colTile = 0; colTile < cols; colTile += TILE) {
    const colEnd = Math.min(colTile + TILE, cols);
    for (let rowTile = 0; rowTile < rows; rowTile += TILE) {
      const rowEnd = Math.min(rowTile + TILE, rows);
      for (let col = colTile; col < colEnd; col++) {
        for (let row = rowTile, from = rowTile * cols + col; row < rowEnd; row++, from += cols)
          target[col * rows + row] = source[from]!;
      }
    }
  }
  return target;
}
