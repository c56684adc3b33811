import type { AttentionWeights, Linear } from "@kvfold/decoder";
import {
  add,
  createMatrix,
  fromFloat32,
  type Matrix,
  multiply,
  slice,
  stackColumns,
  stackRows,
  toFloat32,
} from "@kvfold/linalg";
import type { Basis } from "../methods/method.js";
import { columns, outputRows } from "./group.js";

/** The heads of an unfolded layer. */
type Heads = Pick<AttentionWeights, "heads" | "kvHeads" | "headDim">;

/** `W' = W[group] E`, `b' = b[group] E`, side by side over the groups. */
export function encodeProjection(projection: Linear, bases: readonly Basis[]): Linear {
  const width = projection.outputs / bases.length;
  const encode = (rows: (group: number) => Matrix) =>
    stackColumns(bases.map((basis, group) => multiply(rows(group), basis.encode)));
  const weight = encode((group) => columns(projection, group * width, (group + 1) * width));
  const bias = projection.bias;
  return linear(
    weight,
    bias && encode((group) => rowVector(bias.subarray(group * width, (group + 1) * width))),
  );
}

/** `b_O' = b_O + sum_h offset_h W_O,h`: what decoded values lack, as it comes out after `W_O`. */
export function outputBias(attention: AttentionWeights, bases: readonly Basis[]): Float32Array | undefined {
  const { heads, headDim, output } = attention;
  if (bases.every(({ offset }) => offset === undefined)) return output.bias;
  const lacking = Array.from({ length: heads }, (_, head) => {
    const { basis, column } = decoderOf(attention, bases, head);
    const offset = basis.offset?.slice(column, column + headDim) ?? new Float64Array(headDim);
    return multiply(createMatrix(1, headDim, offset), outputRows(attention, head));
  });
  const present = fromFloat32(1, output.outputs, output.bias ?? new Float32Array(output.outputs));
  return toFloat32(lacking.reduce(add, present));
}

/** `E` of all groups, `[groups, s * d, r]`. */
export const stackedEncode = (bases: readonly Basis[]): Float32Array =>
  toFloat32(stackRows(bases.map((basis) => basis.encode)));

/** `F[:, h] [r, d]`: the columns that decode the KV head which query head `head` reads. */
export function headDecode(attention: Heads, bases: readonly Basis[], head: number): Matrix {
  const { basis, column } = decoderOf(attention, bases, head);
  return slice(basis.decode, { rows: [0, basis.decode.rows], cols: [column, column + attention.headDim] });
}

/** The basis that decodes the KV head which query head `head` reads, and where that KV head starts in it. */
function decoderOf({ heads, headDim, kvHeads }: Heads, bases: readonly Basis[], head: number) {
  const kvHead = Math.floor(head / (heads / kvHeads));
  const span = kvHeads / bases.length;
  return { basis: bases[Math.floor(kvHead / span)]!, column: (kvHead % span) * headDim };
}

export const rowVector = (values: Float32Array): Matrix =>
  createMatrix(1, values.length, Float64Array.from(values));

export const linear = (weight: Matrix, bias: Matrix | undefined): Linear => ({
  inputs: weight.rows,
  outputs: weight.cols,
  weight: toFloat32(weight),
  bias: bias && toFloat32(bias),
});
