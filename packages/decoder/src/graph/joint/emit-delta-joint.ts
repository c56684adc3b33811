import { emitDeltaRows, emitShared, emitWhole } from "../emit-delta-attention.js";
import type { Emitter } from "../emitter.js";
import { readingOf } from "./chunk-levels.js";
import { emitAnchoredQueries } from "./emit-anchored-queries.js";
import { emitCachedJoint } from "./emit-cached-joint.js";
import { emitBySlot, emitRunScores } from "./emit-run-scores.js";
import { jointShape } from "./joint-shape.js";

/**
 * Joint latents that are cached as they are: `queries` are `[B, S, H * d]` before the rotation, `latents [B, S, groups * r]`
 * those of the new tokens.
 */
export function emitDeltaJoint(
  e: Emitter,
  { queries, latents }: { readonly queries: string; readonly latents: string },
  options: emitCachedJoint.Options,
): string {
  const { weights, positions, cache } = options;
  const rows = emitDeltaRows(e.at("latent"), latents, jointShape(weights), cache, "latent");
  const read = {
    fresh: rows.fresh,
    whole: (at: Emitter) => emitWhole(at, rows),
    pastScores: (at: Emitter) => emitPastScores(at, queries, rows.past, options),
    average: (at: Emitter, shares: string) => emitShared(at, shares, rows, positions),
  };
  return emitCachedJoint(e, queries, read, options);
}

/** Scores of cached latents, `[B, groups, H / groups, P]`. */
export function emitPastScores(
  e: Emitter,
  queries: string,
  past: string,
  { weights, joint, readers, positions }: emitCachedJoint.Options,
): string {
  const at = e.at("scores/past");
  const anchors = positions.anchors!;
  const { levels, finest, padding } = readingOf(weights, joint);
  const options = { weights, readers, anchors, levels, padding, parts: ["latent"] as const };
  const [reading] = emitAnchoredQueries(at.at("queries"), queries, options);
  const latent = jointShape(weights);
  const scores = emitRunScores(at, past, reading!, { heads: weights.heads, latent, finest });
  const bySlot = emitBySlot(at, scores, weights, anchors);
  return at.transpose("heads/Transpose", bySlot, [0, 1, 3, 2]);
}
