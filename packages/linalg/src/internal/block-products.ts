import { createMatrix, type Matrix } from "../matrix.js";
import type { Steps } from "./steps.js";
import { viewOf, windowOf } from "./view.js";

/** `B a`, with `B` block-diagonal, its square `blocks` given. */
export function* multiplyBlocks(blocks: readonly Matrix[], a: Matrix): Steps<Matrix> {
  const result = createMatrix(a.rows, a.cols);
  for (const { block, start, end } of placed(blocks)) {
    const rowsOf = (matrix: Matrix) => windowOf(viewOf(matrix), start, end, 0, a.cols);
    yield { target: rowsOf(result), left: viewOf(block), right: rowsOf(a), factor: 1 };
  }
  return result;
}

/** `a B`, with `B` block-diagonal, its square `blocks` given. */
export function* multiplyByBlocks(a: Matrix, blocks: readonly Matrix[]): Steps<Matrix> {
  const result = createMatrix(a.rows, a.cols);
  for (const { block, start, end } of placed(blocks)) {
    const columnsOf = (matrix: Matrix) => windowOf(viewOf(matrix), 0, a.rows, start, end);
    yield { target: columnsOf(result), left: columnsOf(a), right: viewOf(block), factor: 1 };
  }
  return result;
}

function* placed(blocks: readonly Matrix[]): Generator<{ block: Matrix; start: number; end: number }> {
  let start = 0;
  for (const block of blocks) {
    yield { block, start, end: start + block.rows };
    start += block.rows;
  }
}
