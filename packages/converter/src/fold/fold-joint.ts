import type { AttentionWeights, Linear } from "@kvfold/decoder";
import { createMatrix, fromFloat32, multiply, slice, stackRows, subtract, toFloat32 } from "@kvfold/linalg";
import type { Basis, JointBasis } from "../methods/method.js";
import type { JointBases } from "./choose-bases.js";
import { encodeProjection, headDecode, outputBias, stackedEncode } from "./fold-parts.js";
import { latentStatistics } from "./latent-statistics.js";

/**
 * Folds keys and values of an unfolded layer into one latent per group (docs/method.md, Anchored latents). What values add
 * to the latent folds into their projection, with the means that the latent leaves out. What keys add does so where nothing
 * stands between their projection and the latent.
 */
export function foldJoint(
  attention: AttentionWeights,
  { joint, chunks, means }: JointBases,
): AttentionWeights {
  const [keys, values] = [joint.map(keyPart), joint.map(valuePart)];
  const half = { heads: joint.length, size: joint[0]!.encode.cols / 2 };
  const isDirect = chunks.every((chunk) => chunk === 1) && attention.headNorm !== "before-rotation";
  return {
    ...attention,
    keys: half,
    values: half,
    key: isDirect ? encodeProjection(attention.key, keys) : attention.key,
    value: encodeCentred(attention.value, values, joint),
    output: { ...attention.output, bias: outputBias(attention, values) },
    joint: {
      chunks,
      encodeKeys: isDirect ? undefined : stackedEncode(keys),
      decodeKeys: toFloat32(stackRows(keys.map(({ decode }) => decode))),
      decodeValues: decodedValues(attention, values),
      statistics: latentStatistics({ joint, chunks, means }),
    },
  };
}

function keyPart({ encode, decode }: JointBasis): Basis {
  const size = encode.rows / 2;
  return { encode: slice(encode, { rows: [0, size] }), decode: slice(decode, { cols: [0, size] }) };
}

function valuePart({ encode, decode, offset }: JointBasis): Basis {
  const size = encode.rows / 2;
  const means = offset?.subarray(size);
  return {
    encode: slice(encode, { rows: [size, 2 * size] }),
    decode: slice(decode, { cols: [size, 2 * size] }),
    ...(means?.some((mean) => mean !== 0) && { offset: means }),
  };
}

/** `W' = W_V[group] E_V`, `b' = b_V[group] E_V - offset E`, side by side over the groups. */
function encodeCentred(value: Linear, values: readonly Basis[], joint: readonly JointBasis[]): Linear {
  const encoded = encodeProjection(value, values);
  if (joint.every(({ offset }) => offset === undefined)) return encoded;
  const rank = joint[0]!.encode.cols;
  const bias = new Float32Array(encoded.outputs);
  for (const [group, { encode, offset = new Float64Array(encode.rows) }] of joint.entries()) {
    const present = encoded.bias?.subarray(group * rank, (group + 1) * rank) ?? new Float32Array(rank);
    const left = multiply(createMatrix(1, offset.length, offset), encode);
    bias.set(toFloat32(subtract(fromFloat32(1, rank, present), left)), group * rank);
  }
  return { ...encoded, bias };
}

/** `[H, r, d]`. */
const decodedValues = (attention: AttentionWeights, values: readonly Basis[]): Float32Array =>
  toFloat32(
    stackRows(Array.from({ length: attention.heads }, (_, head) => headDecode(attention, values, head))),
  );
