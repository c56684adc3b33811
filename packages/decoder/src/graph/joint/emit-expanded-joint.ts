import type { AttentionWeights, CacheShape, JointLatent } from "../../model/decoder-weights.js";
import { emitExpandedKeys } from "../emit-expanded-keys.js";
import type { ScoreShape } from "../emit-scored.js";
import type { Emitter } from "../emitter.js";
import type { Positions, Rotation } from "../positions.js";
import { sideBySide } from "../side-by-side.js";
import { emitSplitGroups } from "../split-heads.js";
import { isChunked } from "./is-chunked.js";
import { jointShape } from "./joint-shape.js";

/** Keys `[B, Hkv, T, d]` and values `[B, H, T, n]`, as attention reads them. */
export interface ExpandedJoint {
  readonly key: string;
  readonly value: string;
  readonly shape: Pick<ScoreShape, "keys" | "values">;
}

/**
 * Latents `[B, groups, T, r]` to what attention reads: for many queries at once it pays to expand keys and values first,
 * since the queries then read `d` and `n` numbers of a token and not `r`.
 */
export function emitExpandedJoint(
  e: Emitter,
  latents: string,
  weights: AttentionWeights,
  joint: JointLatent,
  positions: Positions,
): ExpandedJoint {
  const { heads, kvHeads, headDim } = weights;
  const latent = jointShape(weights);
  const size = joint.decodeValues.length / (heads * latent.size);
  const rotation = startRotation(weights, joint, positions);
  return {
    key: emitExpandedKeys(e.at("k_expansion"), latents, weights, {
      latent,
      decode: joint.decodeKeys,
      rotation,
    }),
    value: emitExpandedValues(e.at("v_expansion"), latents, latent, joint.decodeValues, { heads, size }),
    shape: { keys: { heads: kvHeads, size: headDim }, values: { heads, size } },
  };
}

/** Expanded keys lack the turn to the starts of their chunks. */
function startRotation(
  { rope }: AttentionWeights,
  joint: JointLatent,
  positions: Positions,
): Rotation | undefined {
  if (rope === undefined) return undefined;
  return isChunked(joint)
    ? positions.chunkRotation(rope, joint.chunks, "start")
    : positions.relativeRotation(rope, "all");
}

/** What each query head reads of a token: `[B, H, T, n]`. */
function emitExpandedValues(
  e: Emitter,
  latents: string,
  latent: CacheShape,
  decode: Float32Array,
  { heads, size }: CacheShape,
): string {
  const readers = heads / latent.heads;
  const width = readers * size;
  const matrices = e.floats(
    "decode",
    [latent.heads, latent.size, width],
    sideBySide(decode, latent, readers, size),
  );
  const groups = e.node("MatMul", "MatMul", [latents, matrices]);
  return emitSplitGroups(e.at("split"), groups, { heads: latent.heads, size: width }, readers);
}
