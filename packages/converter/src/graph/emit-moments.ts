import { type GramBlock, gramBlocks, gramBlocksSize, shiftOf, soFar } from "@kvfold/calibration";
import type { CacheShape } from "@kvfold/decoder";
import type { Emitter } from "@kvfold/decoder/graph";
import { emitSlice } from "@kvfold/decoder/graph";

/** A value `[..., W]` as rows `[rows, W]` about a shift: `y - c`. */
export interface Rows {
  readonly rows: string;
  readonly width: number;
}

/** Rows `Y`, and the columns of each gram block turned: `Y[:, start:end]ᵀ`. */
export interface TurnedRows extends Rows {
  readonly blocks: readonly (GramBlock & { readonly turned: string })[];
}

/**
 * `[..., W]` to rows `[rows, W]` about the shift of the moments `name` (`shiftOf`), which is the mean of the first window's
 * rows. Sums in float32 then have the precision of the deviations, however far from zero the rows are.
 */
export function emitShiftedRows(e: Emitter, name: string, value: string, width: number): Rows {
  const rows = e.reshape("Reshape", value, [-1, width]);
  const shift = emitShift(e.at("shift"), shiftOf(name), rows, width);
  return { rows: e.node("Sub", "shifted/Sub", [rows, shift]), width };
}

/** Output `<name> [W]`: the shift that came in, or the mean of these rows where that is not a number. */
function emitShift(e: Emitter, name: string, rows: string, width: number): string {
  const before = e.graph.input(soFar(name), "float32", [width]);
  const mean = e.node("ReduceMean", "ReduceMean", [rows, e.graph.int64([0])], {
    attributes: { keepdims: 0 },
  });
  const isFirst = e.node("IsNaN", "IsNaN", [before]);
  e.graph.nodeWithOutputs("Where", [isFirst, mean, before], [name], { name: `${e.path}/Where` });
  e.graph.output(name, "float32", [width]);
  return name;
}

/** Shifted rows, made ready for products over the rows. */
export function emitTurnedRows(e: Emitter, name: string, value: string, width: number): TurnedRows {
  const { rows } = emitShiftedRows(e, name, value, width);
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

/**
 * Outputs `<name>.gram = YᵀY`, by the block rows of its upper half (`gramBlocks`), and `<name>.sum [W]`, both of the
 * shifted rows `Y`.
 */
export function emitMoments(e: Emitter, name: string, { rows, width, blocks }: TurnedRows): void {
  const parts = blocks.map(({ start, turned }, index) => {
    const block = e.at(`block.${index}`);
    const columns = start === 0 ? rows : emitSlice(block.at("columns"), rows, 1, start, width);
    return block.reshape("flat/Reshape", block.node("MatMul", "MatMul", [turned, columns]), [-1]);
  });
  emitTotal(e, `${name}.gram`, gramBlocksSize(width), emitStacked(e, parts));
  emitSum(e, name, { rows, width });
}

/** Outputs `<name>.sum [W]`. */
function emitSum(e: Emitter, name: string, { rows, width }: Rows): void {
  const axis = e.graph.int64([0]);
  const sum = e.node("ReduceSum", "ReduceSum", [rows, axis], { attributes: { keepdims: 0 } });
  emitTotal(e, `${name}.sum`, width, sum);
}

/**
 * Moments as above of values that lie in the columns of `parts`, `[W, columns]` each, about zero; W at most the width of one
 * block.
 */
export function emitColumnMoments(e: Emitter, name: string, parts: readonly string[], width: number): void {
  const sums = parts.map((columns, index) => {
    const part = e.at(`part.${index}`);
    const axis = { attributes: { keepdims: 0 } };
    return {
      gram: part.node("Gemm", "Gemm", [columns, columns], { attributes: { transB: 1 } }),
      sum: part.node("ReduceSum", "ReduceSum", [columns, e.graph.int64([1])], axis),
    };
  });
  const total = (key: "gram" | "sum") =>
    e.node(
      "Sum",
      `${key}/Sum`,
      sums.map((part) => part[key]),
    );
  emitTotal(e, `${name}.gram`, width * width, total("gram"));
  emitTotal(e, `${name}.sum`, width, total("sum"));
}

/**
 * Moments as above, about zero, whose gram is `blocks [1, H, d, d]` on the diagonal and zero elsewhere; their sum is left
 * zero.
 */
export function emitDiagonalMoments(
  e: Emitter,
  name: string,
  blocks: string,
  { heads, size }: CacheShape,
): void {
  const width = heads * size;
  const diagonal = Float32Array.from({ length: heads ** 2 }, (_, at) => (at % (heads + 1) === 0 ? 1 : 0));
  const spread = e.node("Mul", "spread/Mul", [
    e.reshape("blocks/Reshape", blocks, [heads, size, 1, size]),
    e.float32s("diagonal", [heads, 1, heads, 1], diagonal),
  ]);
  const gram = e.reshape("gram/Reshape", spread, [width, width]);
  const parts = gramBlocks(width).map(({ start, end }, index) => {
    const block = e.at(`block.${index}`);
    const rows = emitSlice(block.at("rows"), gram, 0, start, end);
    return block.reshape("flat/Reshape", emitSlice(block.at("columns"), rows, 1, start, width), [-1]);
  });
  emitTotal(e, `${name}.gram`, gramBlocksSize(width), emitStacked(e, parts));
  emitTotal(e, `${name}.sum`, width, e.float32s("zeros", [width], new Float32Array(width)));
}

/** Outputs `<name>.cross = YᵀZ [W, V]` and `<name>.sum [V]` of the rows `Z`, both of shifted rows. */
export function emitCross(e: Emitter, name: string, { width, blocks }: TurnedRows, z: Rows): void {
  const parts = blocks.map(({ turned }, index) =>
    e.at(`block.${index}`).node("MatMul", "MatMul", [turned, z.rows]),
  );
  emitTotal(e, `${name}.cross`, width * z.width, emitStacked(e, parts));
  emitSum(e, name, z);
}

const emitStacked = (e: Emitter, parts: readonly string[]): string =>
  parts.length === 1 ? parts[0]! : e.node("Concat", "Concat", parts, { attributes: { axis: 0 } });

/** Outputs `<name> [size]`: the sum over the windows before (`soFar`), which may be a single zero, and `value` added to it. */
function emitTotal(e: Emitter, name: string, size: number, value: string): void {
  const before = e.graph.input(soFar(name), "float32", [`${soFar(name)}.size`]);
  const flat = e.at(name).reshape("flat/Reshape", value, [-1]);
  e.graph.nodeWithOutputs("Add", [before, flat], [name], { name: `/${name}/Add` });
  e.graph.output(name, "float32", [size]);
}
