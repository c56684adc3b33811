import type { AttentionWeights, JointLatent, Linear } from "../../model/decoder-weights.js";
import { emitPerHead } from "../emit-basis.js";
import { emitLinear } from "../emit-linear.js";
import { emitUnturnedKeys } from "../emit-projections.js";
import { emitRotation } from "../emit-rotation.js";
import type { Emitter } from "../emitter.js";
import type { Positions } from "../positions.js";
import { isChunked } from "./is-chunked.js";
import { jointShape } from "./joint-shape.js";

/**
 * Joint latents of the new tokens, `[B, S, groups * r]`: keys, turned by their offsets within their chunks and encoded,
 * and what values add.
 */
export function emitJointLatents(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  joint: JointLatent,
  positions: Positions,
): string {
  const { encodeKeys } = joint;
  if (encodeKeys === undefined) return emitLinear(e, "kv_proj", x, addLinears(weights.key, weights.value));
  const { kvHeads, headDim } = weights;
  const { heads: groups, size: rank } = jointShape(weights);
  const keys = emitLocalKeys(e, emitUnturnedKeys(e, x, weights), weights, joint, positions);
  const part = e.at("k_code");
  const group = { heads: groups, size: (kvHeads / groups) * headDim };
  const matrices = part.floats("encode", [groups, group.size, rank], encodeKeys);
  const encoded = emitPerHead(part, keys, group, matrices, rank);
  return e.node("Add", "latent/Add", [encoded, emitLinear(e, "v_proj", x, weights.value)]);
}

/** Keys turned by their offsets within their chunks. */
function emitLocalKeys(
  e: Emitter,
  keys: string,
  { rope, kvHeads, headDim }: AttentionWeights,
  joint: JointLatent,
  positions: Positions,
): string {
  if (rope === undefined || !isChunked(joint)) return keys;
  const rotation = positions.chunkRotation(rope, joint.chunks, "offset");
  const shape = { heads: kvHeads, size: headDim };
  return emitRotation(e.at("k_rotary"), keys, { rotation, rope, shape });
}

/** Both projections read the same rows and their outputs are added: one does for both. */
function addLinears(a: Linear, b: Linear): Linear {
  const add = (x: Float32Array, y: Float32Array) => x.map((value, index) => value + y[index]!);
  const bias = a.bias && b.bias ? add(a.bias, b.bias) : (a.bias ?? b.bias);
  return { inputs: a.inputs, outputs: a.outputs, weight: add(a.weight, b.weight), bias };
}
