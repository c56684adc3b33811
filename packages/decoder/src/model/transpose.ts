/** Edge of the square tiles: 32 x 32 floats of source and target stay in the first-level cache (2 x 4 KiB). */
const TILE = 32;

/** Transposes a row-major `[rows, cols]` matrix into `[cols, rows]`, tile by tile. */
export function transposeFloats(source: Float32Array, rows: number, cols: number): Float32Array {
  const target = new Float32Array(source.length);
  for (let rowTile = 0; rowTile < rows; rowTile += TILE) {
    const rowEnd = Math.min(rowTile + TILE, rows);
    for (let colTile = 0; colTile < cols; colTile += TILE) {
      const colEnd = Math.min(colTile + TILE, cols);
      for (let row = rowTile; row < rowEnd; row++) {
        for (let col = colTile; col < colEnd; col++) target[col * rows + row] = source[row * cols + col]!;
      }
    }
  }
  return target;
}
