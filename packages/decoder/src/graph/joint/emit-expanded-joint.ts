import type { AttentionWeights } from "../../model/decoder-weights.js";
import { emitPerHead } from "../emit-basis.js";
import { emitExpandedKeys } from "../emit-expanded-keys.js";
import { emitTurnedQueries } from "../emit-projections.js";
import type { ScoreParts, ScoreShape } from "../emit-scored.js";
import type { Emitter } from "../emitter.js";
import { emitSplitGroups, emitSplitHeads } from "../split-heads.js";
import type { JointReaders } from "./emit-readers.js";
import { jointShape } from "./joint-shape.js";
import type { LateRotations } from "./late-rotations.js";

export declare namespace emitExpandedText {
  interface Options {
    readonly weights: AttentionWeights;
    readonly readers: JointReaders;
    readonly rotations: LateRotations | undefined;
    /** How queries are set against keys and values. */
    readonly score: (e: Emitter, parts: Omit<ScoreParts, "bias">, shape: ScoreShape) => string;
  }
}

/**
 * Queries before the rotation, `[B, S, H * d]`, against latents `[B, groups, T, r]` that are expanded to keys and values:
 * for many queries that pays, since each then reads `d` and `n` numbers of a token and not `r`. Gives `[B, S, H * n]`.
 */
export function emitExpandedText(
  e: Emitter,
  queries: string,
  latents: string,
  options: emitExpandedText.Options,
): string {
  const { weights, readers, score } = options;
  const { heads, scale, softCap } = weights;
  const latent = jointShape(weights);
  const keys = emitKeys(e, queries, latents, options);
  const at = e.at("v_expansion");
  const read = at.node("MatMul", "MatMul", [latents, readers.values()]);
  const inGroup = heads / latent.heads;
  const group = { heads: latent.heads, size: inGroup * readers.width };
  const parts = { ...keys, value: emitSplitGroups(at.at("split"), read, group, inGroup) };
  return score(e, parts, {
    heads,
    scale,
    softCap,
    keys: keyShape(weights),
    values: { heads, size: readers.width },
  });
}

/** The same for few queries: keys are expanded, and values only after their average has been taken. */
export function emitExpandedStep(
  e: Emitter,
  queries: string,
  latents: string,
  options: emitExpandedText.Options,
): string {
  const { weights, readers, score } = options;
  const { heads, scale, softCap } = weights;
  const values = jointShape(weights);
  const parts = { ...emitKeys(e, queries, latents, options), value: latents };
  const averages = score(e, parts, { heads, scale, softCap, keys: keyShape(weights), values });
  return emitPerHead(e.at("values"), averages, { heads, size: values.size }, readers.heads, readers.width);
}

const keyShape = ({ kvHeads, headDim }: AttentionWeights) => ({ heads: kvHeads, size: headDim });

/** Turned queries `[B, H, S, d]` and keys `[B, Hkv, T, d]`. */
function emitKeys(
  e: Emitter,
  queries: string,
  latents: string,
  { weights, readers, rotations }: Omit<emitExpandedText.Options, "score">,
) {
  const { heads, headDim } = weights;
  const turned = emitTurnedQueries(e, queries, weights, rotations?.queries);
  return {
    query: emitSplitHeads(e.at("query"), turned, { heads, size: headDim }),
    key: emitExpandedKeys(e.at("k_expansion"), latents, weights, {
      latent: jointShape(weights),
      decode: readers.keys,
      rotation: rotations?.keys,
    }),
  };
}
