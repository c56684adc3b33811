import type { AttentionWeights, CacheShape, KeyBasis, KeyExpansion, Linear } from "@kvfold/decoder";
import { type Matrix, multiply, stackColumns, stackRows, toFloat32, transpose } from "@kvfold/linalg";
import type { Basis } from "../methods/method.js";
import type { LayerBases, SideBases } from "./choose-bases.js";
import { foldJoint } from "./fold-joint.js";
import { encodeProjection, headDecode, linear, outputBias, rowVector, stackedEncode } from "./fold-parts.js";
import { columns, outputRows } from "./group.js";

/** Folds the KV heads of an unfolded attention layer (docs/method.md, Folding). */
export const foldAttention = (attention: AttentionWeights, bases: LayerBases): AttentionWeights =>
  "joint" in bases ? foldJoint(attention, bases) : foldSides(attention, bases);

/** Values fold into the weights; where keys go follows from their basis and from what the layer does to keys. */
function foldSides(attention: AttentionWeights, bases: SideBases): AttentionWeights {
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

/** Per query head `W_O,h' = F[:, h] W_O,h`, stacked over the heads. */
function decodeOutput(attention: AttentionWeights, bases: readonly Basis[]): Linear {
  const folded = Array.from({ length: attention.heads }, (_, head) =>
    multiply(headDecode(attention, bases, head), outputRows(attention, head)),
  );
  return { ...linear(stackRows(folded), undefined), bias: outputBias(attention, bases) };
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
