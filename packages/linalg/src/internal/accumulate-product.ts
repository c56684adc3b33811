/**
 * Dense product in the manner of BLIS: blocks of `a` and `b` are packed into the exact order in which a
 * small register tile consumes them, so that strides (and transposes) cost nothing in the inner loop.
 * G. Goto and R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication", TOMS 34(3), 2008.
 */
import { transposeView, type View, windowOf } from "./view.js";

/** The register tile: 4 x 2 sums, the most that V8 keeps in the sixteen float registers with their operands. */
const tileRows = 4;
const tileCols = 2;

/** Block sizes (all multiples of the tile): a packed block of `a` is 128 KiB, one of `b` 1 MiB (second-level cache). */
const blockDepth = 256;
const blockRows = 64;
const blockCols = 512;

/** `c += factor · a · b`; `c` must not overlap `a` or `b`. */
export function accumulateProduct(c: View, a: View, b: View, factor: number): void {
  const packDepth = Math.min(blockDepth, a.cols);
  const packedA = new Float64Array(packDepth * Math.min(blockRows, roundUp(a.rows, tileRows)));
  const packedB = new Float64Array(packDepth * Math.min(blockCols, roundUp(b.cols, tileCols)));
  for (let col = 0; col < b.cols; col += blockCols) {
    const colEnd = Math.min(col + blockCols, b.cols);
    for (let start = 0; start < a.cols; start += blockDepth) {
      const end = Math.min(start + blockDepth, a.cols);
      pack(packedB, transposeView(windowOf(b, start, end, col, colEnd)), tileCols);
      for (let row = 0; row < a.rows; row += blockRows) {
        const rowEnd = Math.min(row + blockRows, a.rows);
        pack(packedA, windowOf(a, row, rowEnd, start, end), tileRows);
        multiplyBlock(windowOf(c, row, rowEnd, col, colEnd), packedA, packedB, end - start, factor);
      }
    }
  }
}

/**
 * Copies `source [width, depth]` to panels `[width / lane, depth, lane]`. Where a panel reaches beyond the edge it keeps
 * what it held: the sums made of it are dropped.
 */
function pack(packed: Float64Array, source: View, lane: number): void {
  const { data, offset, rows: width, cols: depth, rowStride, colStride } = source;
  for (let k = 0; k < width; k++) {
    const place = k % lane;
    let to = (k - place) * depth + place;
    let from = offset + k * rowStride;
    for (let p = 0; p < depth; p++, to += lane, from += colStride) packed[to] = data[from]!;
  }
}

/** `c += factor · a · b` of two packed blocks, tile by tile. */
function multiplyBlock(
  c: View,
  packedA: Float64Array,
  packedB: Float64Array,
  depth: number,
  factor: number,
): void {
  const tile = new Float64Array(tileRows * tileCols);
  for (let j = 0; j < c.cols; j += tileCols) {
    for (let i = 0; i < c.rows; i += tileRows) {
      multiplyTile(tile, packedA, i * depth, packedB, j * depth, depth);
      addTile(c, i, j, tile, factor);
    }
  }
}

/** `c[row + y, col + x] += factor · tile[y, x]`, as far as `c` reaches. */
function addTile(c: View, row: number, col: number, tile: Float64Array, factor: number): void {
  const height = Math.min(tileRows, c.rows - row);
  const width = Math.min(tileCols, c.cols - col);
  for (let y = 0; y < height; y++) {
    const target = c.offset + (row + y) * c.rowStride + col * c.colStride;
    for (let x = 0; x < width; x++) c.data[target + x * c.colStride]! += factor * tile[y * tileCols + x]!;
  }
}

/** `tile[y, x] = Σ_p a[p, y] b[p, x]` over two packed panels. */
function multiplyTile(
  tile: Float64Array,
  a: Float64Array,
  aStart: number,
  b: Float64Array,
  bStart: number,
  depth: number,
): void {
  let s00 = 0;
  let s01 = 0;
  let s10 = 0;
  let s11 = 0;
  let s20 = 0;
  let s21 = 0;
  let s30 = 0;
  let s31 = 0;
  const aEnd = aStart + depth * tileRows;
  for (let i = aStart, j = bStart; i < aEnd; i += tileRows, j += tileCols) {
    const a0 = a[i]!;
    const a1 = a[i + 1]!;
    const a2 = a[i + 2]!;
    const a3 = a[i + 3]!;
    const b0 = b[j]!;
    const b1 = b[j + 1]!;
    s00 += a0 * b0;
    s01 += a0 * b1;
    s10 += a1 * b0;
    s11 += a1 * b1;
    s20 += a2 * b0;
    s21 += a2 * b1;
    s30 += a3 * b0;
    s31 += a3 * b1;
  }
  tile[0] = s00;
  tile[1] = s01;
  tile[2] = s10;
  tile[3] = s11;
  tile[4] = s20;
  tile[5] = s21;
  tile[6] = s30;
  tile[7] = s31;
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;
