import { ropeFrequencies } from "@kvfold/rope";
import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import type { CacheNames } from "../attention-values.js";
import { emitRotation } from "../emit-rotation.js";
import { emitScored, emitSoftmax } from "../emit-scored.js";
import { emitScoredInTurn } from "../emit-scored-in-turn.js";
import { emitSoftCap } from "../emit-soft-cap.js";
import type { Emitter } from "../emitter.js";
import type { Positions } from "../positions.js";
import { emitChoice } from "./emit-choice.js";
import { emitExpandedStep, emitExpandedText } from "./emit-expanded-joint.js";
import type { JointReaders } from "./emit-readers.js";
import { emitHeadOutputs } from "./emit-run-scores.js";
import { jointShape } from "./joint-shape.js";
import { lateRotations, textRotations } from "./late-rotations.js";
import { readsAnchored } from "./reads-anchored.js";

export declare namespace emitCachedJoint {
  interface Options {
    readonly weights: AttentionWeights;
    readonly joint: JointLatent;
    readonly readers: JointReaders;
    readonly positions: Positions;
    readonly cache: CacheNames;
  }
}

/** Past and new latents, and how they are read in the form that they are cached in. */
export interface JointRows {
  /** Latents of the new tokens, `[B, groups, S, r]`. */
  readonly fresh: string;
  /** Past and new latents, `[B, groups, P + S, r]`. */
  readonly whole: (e: Emitter) => string;
  /** Scores of one query of each head with past latents, `[B, groups, H / groups, P]`. */
  readonly pastScores: (e: Emitter) => string;
  /** Past and new latents weighed by `shares [B, groups, H / groups, P + 1]`. */
  readonly average: (e: Emitter, shares: string) => string;
}

/**
 * Attention to joint latents that stay where they are cached: a step of one token reads them in place, several tokens expand
 * them. `queries` are `[B, S, H * d]` before the rotation.
 */
export function emitCachedJoint(
  e: Emitter,
  queries: string,
  rows: JointRows,
  options: emitCachedJoint.Options,
): string {
  const { weights, joint, positions } = options;
  const anchors = positions.anchors!;
  const isAnchored = readsAnchored(weights, joint);
  const rotations = isAnchored
    ? textRotations(weights, joint, positions, anchors)
    : lateRotations(weights, joint, positions);
  const expanded = { ...options, rotations };
  const blocks = positions.blocks!;
  const scoreStep: emitExpandedText.Options["score"] = (at, parts, shape) =>
    emitScored(at, { ...parts, bias: blocks.stepBias(weights) }, shape);
  const scoreText: emitExpandedText.Options["score"] = (at, parts, shape) =>
    emitScoredInTurn(at, parts, shape, { blocks, needs: weights, batch: anchors.batch() });
  return emitChoice(e, anchors.isStep(), {
    step: (at) =>
      isAnchored
        ? emitAnchoredStep(at, queries, rows, options)
        : emitExpandedStep(at, queries, rows.whole(at.at("latent")), { ...expanded, score: scoreStep }),
    text: (at) =>
      emitExpandedText(at, queries, rows.whole(at.at("latent")), { ...expanded, score: scoreText }),
    dims: ["batch_size", "sequence_length", weights.output.inputs],
  });
}

/** One query of each head, `[B, 1, H * d]`, against the latents as they are cached. Gives `[B, 1, H * n]`. */
function emitAnchoredStep(
  e: Emitter,
  queries: string,
  rows: JointRows,
  options: emitCachedJoint.Options,
): string {
  const { weights, readers, positions } = options;
  const { heads, softCap } = weights;
  const parts = [rows.pastScores(e), emitOwnScores(e, queries, rows.fresh, options)];
  const raw = e.node("Concat", "scores/Concat", parts, { attributes: { axis: 3 } });
  const scores = softCap === undefined ? raw : emitSoftCap(e.at("scores"), raw, softCap);
  const bias = positions.blocks!.stepBias(weights);
  const shares = emitSoftmax(e.at("softmax"), scores, heads, jointShape(weights).heads, bias);
  return emitHeadOutputs(e, rows.average(e.at("average"), shares), weights, readers);
}

/**
 * Scores of the newest token with itself, `[B, groups, H / groups, 1]`. Its key lies in the latent turned by the offset in
 * its chunk, and query and key stand at the same place, so the query is turned by the same offset.
 */
function emitOwnScores(
  e: Emitter,
  queries: string,
  fresh: string,
  { weights, joint, readers, positions }: emitCachedJoint.Options,
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
