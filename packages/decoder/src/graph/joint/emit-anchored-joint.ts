import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import { emitSoftmax } from "../emit-scored.js";
import { emitSoftCap } from "../emit-soft-cap.js";
import type { Emitter } from "../emitter.js";
import type { Anchors } from "./anchors.js";
import { readingOf } from "./chunk-levels.js";
import { emitAnchoredQueries } from "./emit-anchored-queries.js";
import { type CachedHalf, emitPaddedHalf } from "./emit-joint-cache.js";
import type { JointReaders } from "./emit-readers.js";
import { emitBySlot, emitHeadOutputs, emitRunScores } from "./emit-run-scores.js";
import { jointShape } from "./joint-shape.js";

export declare namespace emitAnchoredJoint {
  interface Options {
    readonly weights: AttentionWeights;
    readonly joint: JointLatent;
    readonly readers: JointReaders;
    readonly anchors: Anchors;
    readonly halves: readonly [CachedHalf, CachedHalf];
    readonly bias: string;
  }
}

/**
 * One query of each head, `[B, 1, H * d]` before the rotation, against the latents as they are cached; no key is expanded.
 * Gives `[B, 1, H * n]`.
 */
export function emitAnchoredJoint(e: Emitter, queries: string, options: emitAnchoredJoint.Options): string {
  const { weights, halves, readers, bias } = options;
  const { heads, softCap } = weights;
  const latent = jointShape(weights);
  const raw = emitAnchoredScores(e.at("scores"), queries, options);
  const scores = softCap === undefined ? raw : emitSoftCap(e.at("scores"), raw, softCap);
  const shares = emitSoftmax(e.at("softmax"), scores, heads, latent.heads, bias);
  const averages = halves.map(({ name, present }) =>
    e.node("MatMul", `average/${name}/MatMul`, [shares, present]),
  );
  const average = e.node("Concat", "average/Concat", averages, { attributes: { axis: 3 } });
  return emitHeadOutputs(e, average, weights, readers);
}

/** `[B, groups, H / groups, T]`. */
function emitAnchoredScores(
  e: Emitter,
  queries: string,
  { weights, joint, readers, anchors, halves }: emitAnchoredJoint.Options,
): string {
  const { levels, finest, padding } = readingOf(weights, joint);
  const reading = emitAnchoredQueries(e.at("queries"), queries, {
    weights,
    readers,
    anchors,
    levels,
    padding,
    parts: halves.map(({ name }) => name),
  });
  const parts = halves.map((half, index) => {
    const at = e.at(half.name);
    const cache =
      padding === 1
        ? half.present
        : emitPaddedHalf(at.at("padded"), half, weights, { anchors, multiple: padding });
    return emitRunScores(at, cache, reading[index]!, { heads: weights.heads, latent: weights.keys, finest });
  });
  const sum = e.node("Add", "Add", parts);
  const bySlot = emitBySlot(e, sum, weights, anchors);
  // The cache was padded; its empty slots are cut off.
  const range = [e.graph.int64([0]), anchors.total(), e.graph.int64([2])];
  const real = e.node("Slice", "slots/Slice", [bySlot, ...range]);
  return e.transpose("heads/Transpose", real, [0, 1, 3, 2]);
}
