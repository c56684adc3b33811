import type { AttentionWeights, CacheShape } from "../../model/decoder-weights.js";
import type { Emitter } from "../emitter.js";
import type { Anchors } from "./anchors.js";
import type { JointReaders } from "./emit-readers.js";
import { jointShape } from "./joint-shape.js";

export declare namespace emitRunScores {
  interface Options {
    /** Query heads of the layer. */
    readonly heads: number;
    /** What is cached of a token. */
    readonly latent: CacheShape;
    /** Slots of a run; undefined where all slots are one. */
    readonly finest: number | undefined;
  }
}

/**
 * Runs of latents `[B, groups, P, w]` against the queries of each: `[B * groups * N, slots, H / groups]`, which is
 * `[B, groups, P, H / groups]` where the number of slots is a multiple of a run's.
 */
export function emitRunScores(
  e: Emitter,
  cache: string,
  queries: string,
  { heads, latent, finest }: emitRunScores.Options,
): string {
  const inGroup = heads / latent.heads;
  if (finest === undefined) {
    // One endless chunk.
    const byGroup = e.reshape("queries/Reshape", queries, [-1, latent.heads, inGroup, latent.size]);
    return e.node("MatMul", "MatMul", [cache, e.transpose("queries/Transpose", byGroup, [0, 1, 3, 2])]);
  }
  const runs = e.reshape("runs/Reshape", cache, [-1, finest, latent.size]);
  const byRun = e.reshape("queries/Reshape", queries, [-1, inGroup, latent.size]);
  return e.node("MatMul", "MatMul", [runs, e.transpose("queries/Transpose", byRun, [0, 2, 1])]);
}

/** The same by slot: `[B, groups, P, H / groups]`. */
export function emitBySlot(
  e: Emitter,
  scores: string,
  { heads, keys }: Pick<AttentionWeights, "heads" | "keys">,
  anchors: Anchors,
): string {
  const shape = [anchors.batch(), e.graph.int64([keys.heads, -1, heads / keys.heads])];
  const dims = e.node("Concat", "slots/shape/Concat", shape, { attributes: { axis: 0 } });
  return e.node("Reshape", "slots/Reshape", [scores, dims]);
}

/** What each head gives of averaged latents `[B, groups, H / groups, r]`: `[B, 1, H * n]`. */
export function emitHeadOutputs(
  e: Emitter,
  average: string,
  weights: AttentionWeights,
  readers: JointReaders,
): string {
  const byHead = e.reshape("average/Reshape", average, [0, weights.heads, 1, jointShape(weights).size]);
  const outputs = e.node("MatMul", "output/MatMul", [byHead, readers.heads]);
  return e.reshape("output/Reshape", outputs, [0, 1, -1]);
}
