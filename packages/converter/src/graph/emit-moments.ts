import type { Emitter } from "./emitter.js";

/** Outputs `<name>.gram = YᵀY [W, W]` and `<name>.sum = Σ y [W]` over the rows `y` of `value [..., W]`. */
export function emitMoments(e: Emitter, name: string, value: string, width: number): void {
  const rows = emitRows(e, value, width);
  emitOutput(e, `${name}.gram`, [width, width], emitProduct(e, rows, rows));
  const sum = e.node("ReduceSum", "ReduceSum", [rows, e.graph.int64([0])], { attributes: { keepdims: 0 } });
  emitOutput(e, `${name}.sum`, [width], sum);
}

/** The same for values that lie in columns, `[W, columns]`. */
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

const emitProduct = (e: Emitter, a: string, b: string): string =>
  e.node("Gemm", "Gemm", [a, b], { attributes: { transA: 1 } });

function emitOutput(e: Emitter, name: string, dims: readonly number[], value: string): void {
  e.graph.nodeWithOutputs("Identity", [value], [name], { name: `/${name}/Identity` });
  e.graph.output(name, "float32", dims);
}
