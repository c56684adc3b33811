import type { AttentionWeights, CacheShape, KeyExpansion, Linear, RotatedBasis } from "@kvfold/decoder";
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
  transpose,
} from "@kvfold/linalg";
import type { Basis } from "../methods/method.js";
import { columns, outputRows } from "./group.js";

/** The bases of one layer, a basis per group of heads. */
export interface LayerBases {
  readonly keys: readonly Basis[];
  readonly values: readonly Basis[];
}

/**
 * Folds the KV heads of an unfolded attention layer (docs/method.md, Folding). Values, and keys without rotation, fold
 * into the weights; rotated keys leave two small products per token at run time, and keys whose basis stands before
 * the rotation one product per cached key.
 */
export function foldAttention(
  attention: AttentionWeights,
  bases: LayerBases,
  positions: "rope" | "alibi",
): AttentionWeights {
  const folded = {
    ...attention,
    keys: cacheShape(bases.keys),
    values: cacheShape(bases.values),
    value: encodeProjection(attention.value, bases.values),
    output: decodeOutput(attention, bases.values),
  };
  const { slots, beforeRope } = bases.keys[0]!;
  if (positions === "rope" && beforeRope) {
    const key = encodeProjection(attention.key, bases.keys);
    return { ...folded, key, expanded: keyExpansion(attention, bases.keys) };
  }
  if (positions === "rope" && slots === undefined)
    return { ...folded, rotated: rotatedBasis(attention, bases.keys) };
  return {
    ...folded,
    slots: slots && !isOwnOrder(slots, attention.headDim) ? slots : undefined,
    key: encodeProjection(attention.key, bases.keys),
    query: decodeQuery(attention, bases.keys),
  };
}

const isOwnOrder = (slots: readonly number[], headDim: number): boolean =>
  slots.length === headDim / 2 && slots.every((frequency, index) => frequency === index);

const cacheShape = (bases: readonly Basis[]): CacheShape => ({
  heads: bases.length,
  size: bases[0]!.encode.cols,
});

/** `W' = W[group] E`, `b' = b[group] E`, side by side over the groups. */
function encodeProjection(projection: Linear, bases: readonly Basis[]): Linear {
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

/** Per query head `W_O,h' = F[:, h] W_O,h`, stacked over the heads. */
function decodeOutput(attention: AttentionWeights, bases: readonly Basis[]): Linear {
  const folded = Array.from({ length: attention.heads }, (_, head) =>
    multiply(headDecode(attention, bases, head), outputRows(attention, head)),
  );
  return { ...linear(stackRows(folded), undefined), bias: outputBias(attention, bases) };
}

/** `b_O' = b_O + sum_h offset_h W_O,h`: what decoded values lack, as it comes out behind `W_O`. */
function outputBias(attention: AttentionWeights, bases: readonly Basis[]): Float32Array | undefined {
  const { heads, headDim, output } = attention;
  if (bases.every(({ offset }) => offset === undefined)) return output.bias;
  const lacking = Array.from({ length: heads }, (_, head) => {
    const { basis, column } = decoderOf(attention, bases, head);
    const offset = createMatrix(1, headDim, basis.offset!.slice(column, column + headDim));
    return multiply(offset, outputRows(attention, head));
  });
  const present = fromFloat32(1, output.outputs, output.bias ?? new Float32Array(output.outputs));
  return toFloat32(lacking.reduce(add, present));
}

/** Per query head `W_Q,h' = W_Q,h F[:, h]ᵀ`, biases alike. */
function decodeQuery(attention: AttentionWeights, bases: readonly Basis[]): Linear {
  const { heads, headDim, query } = attention;
  const fold = (part: (head: number) => Matrix) =>
    stackColumns(
      Array.from({ length: heads }, (_, head) =>
        multiply(part(head), transpose(headDecode(attention, bases, head))),
      ),
    );
  const weight = fold((head) => columns(query, head * headDim, (head + 1) * headDim));
  const bias = query.bias;
  return linear(
    weight,
    bias && fold((head) => rowVector(bias.subarray(head * headDim, (head + 1) * headDim))),
  );
}

function rotatedBasis(attention: AttentionWeights, bases: readonly Basis[]): RotatedBasis {
  const decode = Array.from({ length: attention.heads }, (_, head) =>
    transpose(headDecode(attention, bases, head)),
  );
  return {
    encode: toFloat32(stackRows(bases.map((basis) => basis.encode))),
    decode: toFloat32(stackRows(decode)),
  };
}

function keyExpansion({ key, headDim }: AttentionWeights, bases: readonly Basis[]): KeyExpansion {
  const [first, ...others] = bases.map(({ decode }) => decode);
  const alike = others.every((decode) => decode === first);
  return { heads: key.outputs / headDim, decode: toFloat32(stackRows([first!, ...(alike ? [] : others)])) };
}

/** `F[:, h] [r, d]`: the columns that decode the KV head which query head `head` reads. */
function headDecode(attention: AttentionWeights, bases: readonly Basis[], head: number): Matrix {
  const { basis, column } = decoderOf(attention, bases, head);
  return slice(basis.decode, { rows: [0, basis.decode.rows], cols: [column, column + attention.headDim] });
}

/** The basis that decodes the KV head which query head `head` reads, and where that KV head starts in it. */
function decoderOf({ heads, headDim, key }: AttentionWeights, bases: readonly Basis[], head: number) {
  const kvHeads = key.outputs / headDim;
  const kvHead = Math.floor(head / (heads / kvHeads));
  const span = kvHeads / bases.length;
  return { basis: bases[Math.floor(kvHead / span)]!, column: (kvHead % span) * headDim };
}

const rowVector = (values: Float32Array): Matrix => createMatrix(1, values.length, Float64Array.from(values));

const linear = (weight: Matrix, bias: Matrix | undefined): Linear => ({
  inputs: weight.rows,
  outputs: weight.cols,
  weight: toFloat32(weight),
  bias: bias && toFloat32(bias),
});
