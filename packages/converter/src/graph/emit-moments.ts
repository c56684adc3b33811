import { type GramBlock, gramBlocks, gramBlocksSize, soFar } from "@kvfold/calibration";
import type { Emitter } from "@kvfold/decoder/graph";
import { emitSlice } from "@kvfold/decoder/graph";

/** A value `[..., W]` as rows `[rows, W]`. */
export interface Rows {
  readonly rows: string;
  readonly width: number;
}

/** Rows `Y`, and the columns of each gram block turned: `Y[:, start:end]ᵀ`. */
export interface TurnedRows extends Rows {
  readonly blocks: readonly (GramBlock & { readonly turned: string })[];
}

/** `[..., W]` to `[rows, W]`. */
export const emitRows = (e: Emitter, value: string, width: number): Rows => ({
  rows: e.reshape("Reshape", value, [-1, width]),
  width,
});

/** The same, made ready for products over the rows. */
export function emitTurnedRows(e: Emitter, value: string, width: number): TurnedRows {
  const { rows } = emitRows(e, value, width);
  const turned = e.transpose("Transpose", rows, [1, 0]);
  const blocks = gramBlocks(width).map((block, index) => ({
    ...block,
    turned:
      block.end === width && index === 0 ? turned : emitTurnedBlock(e.at(`turned.${index}`), turned, block),
  }));
  return { rows, width, blocks };
}

/** The slice also keeps ONNX Runtime from fusing the transpose into a product that is slower for it. */
const emitTurnedBlock = (e: Emitter, turned: string, { start, end }: GramBlock): string =>
  emitSlice(e, turned, 0, start, end);

/** Outputs `<name>.gram = YᵀY`, by the block rows of its upper half (`gramBlocks`), and `<name>.sum = Σ y [W]`. */
export function emitMoments(e: Emitter, name: string, { rows, width, blocks }: TurnedRows): void {
  const parts = blocks.map(({ start, turned }, index) => {
    const block = e.at(`block.${index}`);
    const columns = start === 0 ? rows : emitSlice(block.at("columns"), rows, 1, start, width);
    return block.reshape("flat/Reshape", block.node("MatMul", "MatMul", [turned, columns]), [-1]);
  });
  emitTotal(e, `${name}.gram`, gramBlocksSize(width), emitStacked(e, parts));
  emitSum(e, `${name}.sum`, { rows, width });
}

/** Outputs `<name> = Σ y [W]`. */
export function emitSum(e: Emitter, name: string, { rows, width }: Rows): void {
  const axis = e.graph.int64([0]);
  emitTotal(e, name, width, e.node("ReduceSum", "ReduceSum", [rows, axis], { attributes: { keepdims: 0 } }));
}

/** Moments as above of values that lie in columns, `[W, columns]`; W at most the width of one block. */
export function emitColumnMoments(e: Emitter, name: string, columns: string, width: number): void {
  const gram = e.node("Gemm", "Gemm", [columns, columns], { attributes: { transB: 1 } });
  emitTotal(e, `${name}.gram`, width * width, gram);
  const sum = e.node("ReduceSum", "ReduceSum", [columns, e.graph.int64([1])], {
    attributes: { keepdims: 0 },
  });
  emitTotal(e, `${name}.sum`, width, sum);
}

/** Outputs `<name> = YᵀZ [W, V]`. */
export function emitCross(e: Emitter, name: string, { width, blocks }: TurnedRows, z: Rows): void {
  const parts = blocks.map(({ turned }, index) =>
    e.at(`block.${index}`).node("MatMul", "MatMul", [turned, z.rows]),
  );
  emitTotal(e, name, width * z.width, emitStacked(e, parts));
}

const emitStacked = (e: Emitter, parts: readonly string[]): string =>
  parts.length === 1 ? parts[0]! : e.node("Concat", "Concat", parts, { attributes: { axis: 0 } });

/** Outputs `<name> [size]`: the sum over the windows before (`soFar`), and `value` added to it. */
function emitTotal(e: Emitter, name: string, size: number, value: string): void {
  const before = e.graph.input(soFar(name), "float32", [size]);
  const flat = e.at(name).reshape("flat/Reshape", value, [-1]);
  e.graph.nodeWithOutputs("Add", [before, flat], [name], { name: `/${name}/Add` });
  e.graph.output(name, "float32", [size]);
}
