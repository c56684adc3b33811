import type { RopeParameters } from "@kvfold/rope";
import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import type { AttentionContext, AttentionValues } from "../attention-values.js";
import { emitTurnedQueries, emitUnturnedQueries } from "../emit-projections.js";
import { emitBlocks, emitScored } from "../emit-scored.js";
import type { Emitter } from "../emitter.js";
import type { Positions, Rotation } from "../positions.js";
import { emitSplitHeads } from "../split-heads.js";
import { emitExpandedJoint } from "./emit-expanded-joint.js";
import { emitJointCache } from "./emit-joint-cache.js";
import { emitJointLatents } from "./emit-joint-latents.js";
import { isChunked } from "./is-chunked.js";
import { jointShape } from "./joint-shape.js";

/** Attention to joint latents up to the output projection (docs/method.md, Anchored latents). */
export function emitJointAttended(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  joint: JointLatent,
  context: AttentionContext,
): Omit<AttentionValues, "output"> {
  const { rope, heads, headDim, scale, softCap } = weights;
  const { positions, cache, queryBlocks } = context;
  const latents = emitJointLatents(e, x, weights, joint, positions);
  const unturned = emitUnturnedQueries(e, x, weights);
  const queries = emitTurnedQueries(e, unturned, weights, queryRotation(rope, joint, positions));
  const query = emitSplitHeads(e.at("query"), queries, { heads, size: headDim });
  const fresh = emitSplitHeads(e.at("latent"), latents, jointShape(weights));
  const seen = cache === undefined ? fresh : emitJointCache(e.at("cache"), fresh, weights, cache);
  const { key, value, shape } = emitExpandedJoint(e, seen, weights, joint, positions);
  const parts = { query, key, value, bias: positions.scoreBias(weights) };
  const scored = { heads, scale, softCap, ...shape };
  const headOutputs =
    queryBlocks === undefined ? emitScored(e, parts, scored) : emitBlocks(e, parts, scored, queryBlocks);
  return {
    queries,
    queriesBeforeRope: unturned,
    keys: latents,
    keysBeforeRope: latents,
    values: latents,
    headOutputs,
  };
}

/** What turns the queries that are set against expanded keys. */
function queryRotation(
  rope: RopeParameters | undefined,
  joint: JointLatent,
  positions: Positions,
): Rotation | undefined {
  if (rope === undefined) return undefined;
  return isChunked(joint)
    ? positions.chunkRotation(rope, joint.chunks, "slot")
    : positions.relativeRotation(rope, "new");
}
