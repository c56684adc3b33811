import { ropeFrequencies } from "@kvfold/rope";
import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import type { CacheNames } from "../attention-values.js";
import { type DeltaRows, emitDeltaRows, emitShared, emitWhole } from "../emit-delta-attention.js";
import { emitRotation } from "../emit-rotation.js";
import { emitSoftmax } from "../emit-scored.js";
import { emitSoftCap } from "../emit-soft-cap.js";
import type { Emitter } from "../emitter.js";
import type { Positions } from "../positions.js";
import { readingOf } from "./chunk-levels.js";
import { emitAnchoredQueries } from "./emit-anchored-queries.js";
import { emitChoice } from "./emit-choice.js";
import { emitExpandedStep, emitExpandedText } from "./emit-expanded-joint.js";
import type { JointReaders } from "./emit-readers.js";
import { emitBySlot, emitHeadOutputs, emitRunScores } from "./emit-run-scores.js";
import { jointShape } from "./joint-shape.js";
import { lateRotations, textRotations } from "./late-rotations.js";
import { readsAnchored } from "./reads-anchored.js";

export declare namespace emitDeltaJoint {
  interface Options {
    readonly weights: AttentionWeights;
    readonly joint: JointLatent;
    readonly readers: JointReaders;
    readonly bias: string;
    readonly positions: Positions;
    readonly cache: CacheNames;
  }
}

/**
 * Joint latents that are cached whole and stay where they are: a step of one token reads them in place, several tokens
 * expand them. `queries` are `[B, S, H * d]` before the rotation, `latents [B, S, groups * r]` those of the new tokens.
 */
export function emitDeltaJoint(
  e: Emitter,
  { queries, latents }: { readonly queries: string; readonly latents: string },
  options: emitDeltaJoint.Options,
): string {
  const { weights, joint, positions } = options;
  const anchors = positions.anchors!;
  const rows = emitDeltaRows(e.at("latent"), latents, jointShape(weights), options.cache, "latent");
  const dims = ["batch_size", "sequence_length", weights.output.inputs];
  const isAnchored = readsAnchored(weights, joint);
  const rotations = isAnchored
    ? textRotations(weights, joint, positions, anchors)
    : lateRotations(weights, joint, positions);
  const expanded = { ...options, rotations };
  return emitChoice(e, anchors.isStep(), {
    step: (at) =>
      isAnchored
        ? emitAnchoredStep(at, queries, rows, options)
        : emitExpandedStep(at, queries, emitWhole(at.at("latent"), rows), expanded),
    text: (at) => emitExpandedText(at, queries, emitWhole(at.at("latent"), rows), expanded),
    dims,
  });
}

/** One query of each head, `[B, 1, H * d]`, against the latents as they are cached. Gives `[B, 1, H * n]`. */
function emitAnchoredStep(
  e: Emitter,
  queries: string,
  rows: DeltaRows,
  options: emitDeltaJoint.Options,
): string {
  const { weights, readers, bias, positions } = options;
  const { heads, softCap } = weights;
  const latent = jointShape(weights);
  const parts = [
    emitPastScores(e, queries, rows.past, options),
    emitOwnScores(e, queries, rows.fresh, options),
  ];
  const raw = e.node("Concat", "scores/Concat", parts, { attributes: { axis: 3 } });
  const scores = softCap === undefined ? raw : emitSoftCap(e.at("scores"), raw, softCap);
  const shares = emitSoftmax(e.at("softmax"), scores, heads, latent.heads, bias);
  const average = emitShared(e.at("average"), shares, rows, positions);
  return emitHeadOutputs(e, average, weights, readers);
}

/** Scores of cached latents, `[B, groups, H / groups, P]`. */
export function emitPastScores(
  e: Emitter,
  queries: string,
  past: string,
  { weights, joint, readers, positions }: emitDeltaJoint.Options,
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

/**
 * Scores of the newest token with itself, `[B, groups, H / groups, 1]`. Its key lies in the latent turned by the offset in
 * its chunk, and query and key stand at the same place, so the query is turned by the same offset.
 */
export function emitOwnScores(
  e: Emitter,
  queries: string,
  fresh: string,
  { weights, joint, readers, positions }: emitDeltaJoint.Options,
): string {
  const { heads, kvHeads, headDim, scale, rope } = weights;
  const at = e.at("scores/own");
  const shape = { heads, size: headDim };
  const rotation = rope && positions.chunkRotation(rope, joint.chunks, "offset");
  const turned =
    rope === undefined || rotation === undefined
      ? queries
      : emitRotation(at.at("rotary"), queries, { rotation, rope, shape });
  // Offsets have no attention factor; the scores of other tokens have it twice.
  const factor = rope === undefined ? 1 : ropeFrequencies(rope).attentionScaling ** 2;
  const scaled = at.node("Mul", "scale/Mul", [turned, at.scalar(scale * factor)]);
  const byHead = at.reshape("query/Reshape", scaled, [0, kvHeads, heads / kvHeads, headDim]);
  const key = at.node("MatMul", "key/MatMul", [fresh, readers.keys]);
  const column = at.reshape("key/Reshape", key, [0, kvHeads, headDim, 1]);
  const scores = at.node("MatMul", "MatMul", [byHead, column]);
  const { heads: groups } = jointShape(weights);
  return at.reshape("Reshape", scores, [0, groups, heads / groups, 1]);
}
