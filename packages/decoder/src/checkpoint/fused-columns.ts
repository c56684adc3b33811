import { type Linear, NO_NUMBERS } from "../model/decoder-weights.js";
import { selectRows } from "../model/stored-matrix.js";

/** Outputs `[start, end)` of a linear layer. */
export interface ColumnRange {
  readonly start: number;
  readonly end: number;
}

/** The outputs of each part of a fused projection to queries, keys and values, in the order of heads. */
export interface ProjectionColumns {
  readonly query: readonly ColumnRange[];
  readonly key: readonly ColumnRange[];
  readonly value: readonly ColumnRange[];
}

/** All query heads, then all key heads, then all value heads. */
export function contiguousColumns(heads: number, kvHeads: number, headDim: number): ProjectionColumns {
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  return {
    query: [{ start: 0, end: queries }],
    key: [{ start: queries, end: queries + keys }],
    value: [{ start: queries + keys, end: queries + 2 * keys }],
  };
}

/** For each KV head the query heads that read it, its key head and its value head. */
export function groupedColumns(heads: number, kvHeads: number, headDim: number): ProjectionColumns {
  const readers = heads / kvHeads;
  const ranges = (first: number, count: number) =>
    Array.from({ length: kvHeads }, (_, group) => {
      const start = (group * (readers + 2) + first) * headDim;
      return { start, end: start + count * headDim };
    });
  return { query: ranges(0, readers), key: ranges(readers, 1), value: ranges(readers + 1, 1) };
}

/** The outputs in `ranges`, side by side. A weight that is still stored has a row for each output. */
export function takeColumns(fused: Linear, ranges: readonly ColumnRange[]): Linear {
  const outputs = ranges.reduce((total, { start, end }) => total + end - start, 0);
  const pick = (values: Float32Array, rows: number): Float32Array => {
    const picked = new Float32Array(rows * outputs);
    for (let row = 0, at = 0; row < rows; row++) {
      for (const { start, end } of ranges) {
        picked.set(values.subarray(row * fused.outputs + start, row * fused.outputs + end), at);
        at += end - start;
      }
    }
    return picked;
  };
  const bias = fused.bias && pick(fused.bias, 1);
  if (fused.stored === undefined)
    return { inputs: fused.inputs, outputs, weight: pick(fused.weight, fused.inputs), bias };
  const stored = { ...fused.stored, matrix: selectRows(fused.stored.matrix, ranges) };
  return { inputs: fused.inputs, outputs, weight: NO_NUMBERS, stored, bias };
}

/** The opposite of `takeColumns`: parts written to their ranges of one layer. A missing bias is zero beside others. */
export function joinColumns(
  parts: readonly { readonly linear: Linear; readonly ranges: readonly ColumnRange[] }[],
): Linear {
  const { inputs } = parts[0]!.linear;
  const outputs = parts.reduce((total, { linear }) => total + linear.outputs, 0);
  const weight = new Float32Array(inputs * outputs);
  const bias = new Float32Array(outputs);
  for (const { linear, ranges } of parts) {
    placeColumns(weight, outputs, linear.weight, inputs, ranges);
    if (linear.bias !== undefined) placeColumns(bias, outputs, linear.bias, 1, ranges);
  }
  const hasBias = parts.some(({ linear }) => linear.bias !== undefined);
  return { inputs, outputs, weight, bias: hasBias ? bias : undefined };
}

function placeColumns(
  target: Float32Array,
  outputs: number,
  values: Float32Array,
  rows: number,
  ranges: readonly ColumnRange[],
): void {
  for (let row = 0, from = 0; row < rows; row++) {
    for (const { start, end } of ranges) {
      target.set(values.subarray(from, from + end - start), row * outputs + start);
      from += end - start;
    }
  }
}
