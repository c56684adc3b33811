import type { AttentionWeights, CacheShape, KeyExpansion } from "../model/decoder-weights.js";
import type { AttentionContext, Projected } from "./attention-values.js";
import { emitDeltaRows, emitShared, emitWhole } from "./emit-delta-attention.js";
import { emitExpandedKeys } from "./emit-expanded-keys.js";
import { emitSoftCap } from "./emit-soft-cap.js";
import type { Emitter } from "./emitter.js";
import type { RaggedPositions } from "./positions.js";
import { emitJoinHeads, emitSplitHeads } from "./split-heads.js";

/** Attention to past and new rows apart, where each head has tokens of its own. */
export function emitRaggedAttention(
  e: Emitter,
  projected: Projected,
  weights: AttentionWeights,
  { positions, cache, observe }: AttentionContext,
): string {
  const { heads, kvHeads, headDim, scale, softCap, keys, values, expanded } = weights;
  const ragged = positions.ragged!;
  const key = emitDeltaRows(e.at("key"), projected.key, keys, cache!, "key");
  const value = emitDeltaRows(e.at("value"), projected.value, values, cache!, "value");
  const read: CacheShape = expanded === undefined ? keys : { heads: kvHeads, size: headDim };
  const query = emitSplitHeads(e.at("query"), projected.query, { heads, size: read.size });
  observe?.(e, "queries", query);
  const scaled = e.node("Mul", "scale/Mul", [query, e.scalar(scale)]);
  const stacked = e.reshape("query/stack/Reshape", scaled, [0, read.heads, -1, read.size]);
  const score = (at: Emitter, rows: string) => {
    const scores = at.node("MatMul", "MatMul", [stacked, at.transpose("Transpose", rows, [0, 1, 3, 2])]);
    return softCap === undefined ? scores : emitSoftCap(at, scores, softCap);
  };
  const biases = ragged.bias(weights);
  const biased = (name: "past" | "fresh", scores: string) =>
    emitBiased(e.at(`scores/${name}`), scores, biases[name], { heads, ragged, query });
  const scores =
    expanded === undefined
      ? [
          biased("past", score(e.at("scores/past"), key.past)),
          biased("fresh", score(e.at("scores/fresh"), key.fresh)),
        ]
      : emitSplitScores(
          e,
          score(
            e.at("scores"),
            emitRaggedKeys(e.at("k_expansion"), emitWhole(e.at("key"), key), weights, expanded, ragged),
          ),
          positions.parts!(),
        ).map((part, index) => biased(index === 0 ? "past" : "fresh", part));
  const shares = emitShares(e.at("softmax"), scores, { heads, observe, at: e });
  const rows = e.node("Reshape", "softmax/stack/Reshape", [
    shares,
    emitStackShape(e.at("softmax/stack"), shares, values.heads),
  ]);
  const outputs = emitShared(e.at("output"), rows, value, positions);
  const byHead = e.reshape("unstack/Reshape", outputs, [0, heads, -1, values.size]);
  return emitJoinHeads(e.at("output"), byHead, heads * values.size);
}

/** Scores `[B, keys.heads, G * S, X]` as float32 `[B, ragged heads, H / ragged heads, S, X]` with their bias. */
function emitBiased(
  e: Emitter,
  scores: string,
  bias: string,
  {
    heads,
    ragged,
    query,
  }: { readonly heads: number; readonly ragged: RaggedPositions; readonly query: string },
): string {
  const count = e.node("Shape", "count/Shape", [query], { attributes: { start: 2, end: 3 } });
  const shape = e.node(
    "Concat",
    "shape/Concat",
    [e.graph.int64([0, ragged.heads, heads / ragged.heads]), count, e.graph.int64([-1])],
    { attributes: { axis: 0 } },
  );
  const split = e.node("Reshape", "split/Reshape", [scores, shape]);
  const wide = e.floatType === "float16" ? e.cast("Cast", split, "float32") : split;
  return e.node("Add", "Add", [wide, bias]);
}

/** One softmax over past and new tokens, `[B, H, S, P + S]`. */
function emitShares(
  e: Emitter,
  scores: readonly string[],
  {
    heads,
    observe,
    at,
  }: { readonly heads: number; readonly at: Emitter } & Pick<AttentionContext, "observe">,
): string {
  const all = e.node("Concat", "Concat", scores, { attributes: { axis: 4 } });
  const softmax = e.node("Softmax", "Softmax", [all], { attributes: { axis: -1 } });
  const narrow = e.floatType === "float16" ? e.cast("Cast", softmax, "float16") : softmax;
  const tail = e.node("Shape", "tail/Shape", [narrow], { attributes: { start: 3, end: 5 } });
  const shape = e.node("Concat", "heads/Concat", [e.graph.int64([0, heads]), tail], {
    attributes: { axis: 0 },
  });
  const byHead = e.node("Reshape", "heads/Reshape", [narrow, shape]);
  observe?.(at, "attention", byHead);
  return byHead;
}

/** int64 `[4]`: `[B, heads, rest, T]`. */
function emitStackShape(e: Emitter, shares: string, heads: number): string {
  const total = e.node("Shape", "total/Shape", [shares], { attributes: { start: 3, end: 4 } });
  return e.node("Concat", "shape/Concat", [e.graph.int64([0, heads, -1]), total], {
    attributes: { axis: 0 },
  });
}

function emitSplitScores(e: Emitter, scores: string, parts: string): readonly string[] {
  const names = ["past", "fresh"].map((name) => `${e.path}/scores/split/${name}`);
  return e.graph.nodeWithOutputs("Split", [scores, parts], names, {
    name: `${e.path}/scores/split/Split`,
    attributes: { axis: 3 },
  });
}

/** Keys `[B, Hkv, T, d]` of latents that were cached before the rotation: each head has its own row of positions. */
function emitRaggedKeys(
  e: Emitter,
  latents: string,
  weights: AttentionWeights,
  { decode }: KeyExpansion,
  ragged: RaggedPositions,
): string {
  const { keys, kvHeads, headDim, rope } = weights;
  const width = (kvHeads / keys.heads) * headDim;
  return emitExpandedKeys(e, latents, weights, {
    latent: keys,
    decode: e.floats("decode", [decode.length / (keys.size * width), keys.size, width], decode),
    rotation: rope && ragged.keyRotation(rope, kvHeads),
    apart: true,
  });
}
