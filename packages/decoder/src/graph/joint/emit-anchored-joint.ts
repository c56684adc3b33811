import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import { emitSoftmax } from "../emit-scored.js";
import { emitSoftCap } from "../emit-soft-cap.js";
import type { Emitter } from "../emitter.js";
import type { Anchors } from "./anchors.js";
import { chunkLevels, paddingOf } from "./chunk-levels.js";
import { emitAnchoredQueries } from "./emit-anchored-queries.js";
import { type CachedHalf, emitPaddedHalf } from "./emit-joint-cache.js";
import type { JointReaders } from "./emit-readers.js";
import { emitRunScores } from "./emit-run-scores.js";
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
  const byHead = e.reshape("average/Reshape", average, [0, heads, 1, latent.size]);
  const outputs = e.node("MatMul", "output/MatMul", [byHead, readers.heads]);
  return e.reshape("output/Reshape", outputs, [0, 1, -1]);
}

/** `[B, groups, H / groups, T]`. */
function emitAnchoredScores(
  e: Emitter,
  queries: string,
  { weights, joint, readers, anchors, halves }: emitAnchoredJoint.Options,
): string {
  const levels = weights.rope === undefined ? [] : chunkLevels(joint.chunks);
  const finest = levels.at(-1)?.grid;
  const padding = finest === undefined ? 1 : paddingOf(levels);
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
  return emitByHead(e, sum, weights, anchors);
}

/** Scores of the padded cache, `[B * groups * N, slots, H / groups]`, without those of empty slots. */
function emitByHead(e: Emitter, scores: string, { heads, keys }: AttentionWeights, anchors: Anchors): string {
  const inGroup = heads / keys.heads;
  const shape = [anchors.batch(), e.graph.int64([keys.heads, -1, inGroup])];
  const dims = e.node("Concat", "slots/shape/Concat", shape, { attributes: { axis: 0 } });
  const bySlot = e.node("Reshape", "slots/Reshape", [scores, dims]);
  const real = e.node("Slice", "slots/Slice", [
    bySlot,
    e.graph.int64([0]),
    anchors.total(),
    e.graph.int64([2]),
  ]);
  return e.transpose("heads/Transpose", real, [0, 1, 3, 2]);
}
