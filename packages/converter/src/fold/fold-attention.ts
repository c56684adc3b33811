import type { AttentionWeights, CacheShape, KeyBasis, KeyExpansion, Linear } from "@kvfold/decoder";
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
 * Folds the KV heads of an unfolded attention layer (docs/method.md, Folding). Values fold into the weights; where keys
 * go follows from their basis and from what the layer does to keys.
 */
export function foldAttention(attention: AttentionWeights, bases: LayerBases): AttentionWeights {
  const folded = {
    ...attention,
    keys: cacheShape(bases.keys),
    values: cacheShape(bases.values),
    value: encodeProjection(attention.value, bases.values),
    output: decodeOutput(attention, bases.values),
  };
  switch (keyPlace(attention, bases.keys)) {
    case "expanded":
      return { ...folded, ...expandedKeys(attention, bases.keys) };
    case "rotated":
      return { ...folded, rotated: keyBasis(attention, bases.keys) };
    case "unrotated":
      return { ...folded, ...ownSlots(attention, bases.keys), unrotated: keyBasis(attention, bases.keys) };
    case "weights":
      return {
        ...folded,
        ...ownSlots(attention, bases.keys),
        key: encodeProjection(attention.key, bases.keys),
        query: decodeQuery(attention, bases.keys),
      };
  }
}

/**
 * Where the fold of keys stands. `weights`: in the projections, at no cost, where nothing stands between them and the
 * scores that the basis does not commute with. `unrotated`: after a norm of heads and before the rotation, for bases
 * that commute with the rotation. `rotated`: after both, two small products per token. `expanded`: keys are cached
 * before the rotation and take one product per cached key.
 */
function keyPlace(
  { rope, headNorm }: AttentionWeights,
  bases: readonly Basis[],
): "weights" | "unrotated" | "rotated" | "expanded" {
  const { slots, beforeRope } = bases[0]!;
  if (rope !== undefined && beforeRope) return "expanded";
  const commutes = rope === undefined || slots !== undefined;
  if (commutes && headNorm === undefined) return "weights";
  return commutes && rope !== undefined && headNorm === "before-rotation" ? "unrotated" : "rotated";
}

/** The frequency of each pair of a folded head, where it is not the model's own order. */
const ownSlots = (
  { headDim, rope }: AttentionWeights,
  [first]: readonly Basis[],
): Pick<AttentionWeights, "slots"> => {
  const slots = first?.slots;
  const isNeeded = rope !== undefined && slots !== undefined && !isOwnOrder(slots, headDim);
  return { slots: isNeeded ? slots : undefined };
};

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

function keyBasis(attention: AttentionWeights, bases: readonly Basis[]): KeyBasis {
  const decode = Array.from({ length: attention.heads }, (_, head) =>
    transpose(headDecode(attention, bases, head)),
  );
  return {
    encode: stackedEncode(bases),
    decode: toFloat32(stackRows(decode)),
  };
}

const stackedEncode = (bases: readonly Basis[]): Float32Array =>
  toFloat32(stackRows(bases.map((basis) => basis.encode)));

/** Keys are encoded by their projection, unless a norm follows that. */
function expandedKeys(
  { key, headNorm }: AttentionWeights,
  bases: readonly Basis[],
): Pick<AttentionWeights, "key" | "expanded"> {
  const decode = stackedDecode(bases);
  return headNorm === "before-rotation"
    ? { key, expanded: { encode: stackedEncode(bases), decode } }
    : { key: encodeProjection(key, bases), expanded: { encode: undefined, decode } };
}

/** One matrix where all bases decode alike. */
function stackedDecode(bases: readonly Basis[]): KeyExpansion["decode"] {
  const [first, ...others] = bases.map(({ decode }) => decode);
  const isShared = others.every((decode) => decode === first);
  return toFloat32(stackRows([first!, ...(isShared ? [] : others)]));
}

/** `F[:, h] [r, d]`: the columns that decode the KV head which query head `head` reads. */
function headDecode(attention: AttentionWeights, bases: readonly Basis[], head: number): Matrix {
  const { basis, column } = decoderOf(attention, bases, head);
  return slice(basis.decode, { rows: [0, basis.decode.rows], cols: [column, column + attention.headDim] });
}

/** The basis that decodes the KV head which query head `head` reads, and where that KV head starts in it. */
function decoderOf({ heads, headDim, kvHeads }: AttentionWeights, bases: readonly Basis[], head: number) {
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
