import { gramBlocks } from "@kvfold/calibration";
import type { Emitter } from "./emitter.js";

/**
 * Outputs `<name>.gram = YᵀY`, by the block rows of its upper half (`gramBlocks`), and `<name>.sum = Σ y [W]` over the
 * rows `y` of `value [..., W]`.
 */
export function emitMoments(e: Emitter, name: string, value: string, width: number): void {
  const rows = emitRows(e, value, width);
  emitOutput(e, `${name}.gram`, ["gram_size"], emitGram(e, rows, width));
  const sum = e.node("ReduceSum", "ReduceSum", [rows, e.graph.int64([0])], { attributes: { keepdims: 0 } });
  emitOutput(e, `${name}.sum`, [width], sum);
}

/** The same for values that lie in columns, `[W, columns]`; W at most the width of one block. */
export function emitColumnMoments(e: Emitter, name: string, columns: string, width: number): void {
  const gram = e.node("Gemm", "Gemm", [columns, columns], { attributes: { transB: 1 } });
  emitOutput(e, `${name}.gram`, [width, width], gram);
  const sum = e.node("ReduceSum", "ReduceSum", [columns, e.graph.int64([1])], {
    attributes: { keepdims: 0 },
  });
  emitOutput(e, `${name}.sum`, [width], sum);
}

/** Outputs `<name> = YᵀZ [W, V]` for values `Y [..., W]` and `Z [..., V]`. */
export function emitCross(
  e: Emitter,
  name: string,
  [y, yWidth]: readonly [string, number],
  [z, zWidth]: readonly [string, number],
): void {
  const product = emitProduct(e, emitRows(e.at("first"), y, yWidth), emitRows(e.at("second"), z, zWidth));
  emitOutput(e, name, [yWidth, zWidth], product);
}

/** `[..., W]` to `[rows, W]`. */
export const emitRows = (e: Emitter, value: string, width: number): string =>
  e.reshape("Reshape", value, [-1, width]);

function emitGram(e: Emitter, rows: string, width: number): string {
  const blocks = gramBlocks(width);
  if (blocks.length === 1) return e.reshape("flat/Reshape", emitProduct(e, rows, rows), [-1]);
  const turned = e.transpose("Transpose", rows, [1, 0]);
  const parts = blocks.map(({ start, end }, index) => {
    const block = e.at(`block.${index}`);
    const product = block.node("MatMul", "MatMul", [
      emitSlice(block.at("rows"), turned, 0, start, end),
      emitSlice(block.at("columns"), rows, 1, start, width),
    ]);
    return block.reshape("flat/Reshape", product, [-1]);
  });
  return e.node("Concat", "Concat", parts, { attributes: { axis: 0 } });
}

const emitSlice = (e: Emitter, value: string, axis: number, start: number, end: number): string =>
  e.node("Slice", "Slice", [value, ...[start, end, axis].map((number) => e.graph.int64([number]))]);

/** `YᵀZ`; the transpose costs less than a product that has to turn its left side. */
const emitProduct = (e: Emitter, y: string, z: string): string =>
  e.node("MatMul", "MatMul", [e.transpose("Transpose", y, [1, 0]), z]);

function emitOutput(e: Emitter, name: string, dims: readonly (number | string)[], value: string): void {
  e.graph.nodeWithOutputs("Identity", [value], [name], { name: `/${name}/Identity` });
  e.graph.output(name, "float32", dims);
}
