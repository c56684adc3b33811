import type { AttentionWeights, JointLatent } from "../../model/decoder-weights.js";
import type { AttentionContext, AttentionValues, CacheNames } from "../attention-values.js";
import { emitUnturnedQueries } from "../emit-projections.js";
import { emitBlocks, emitScored } from "../emit-scored.js";
import type { Emitter } from "../emitter.js";
import { emitSplitHeads } from "../split-heads.js";
import { emitAnchoredJoint } from "./emit-anchored-joint.js";
import { emitChoice } from "./emit-choice.js";
import { emitDeltaJoint } from "./emit-delta-joint.js";
import { emitExpandedStep, emitExpandedText } from "./emit-expanded-joint.js";
import { emitJointCache } from "./emit-joint-cache.js";
import { emitJointLatents } from "./emit-joint-latents.js";
import { emitQuantisedJoint } from "./emit-quantised-joint.js";
import { emitReaders } from "./emit-readers.js";
import { jointShape } from "./joint-shape.js";
import { lateRotations, textRotations } from "./late-rotations.js";
import { readsAnchored } from "./reads-anchored.js";

/**
 * Attention to joint latents up to the output projection (docs/method.md, Anchored latents). Several tokens at once expand
 * the latents that they read; a step of one token reads them as they are cached, where that costs less.
 */
export function emitJointAttended(
  e: Emitter,
  x: string,
  weights: AttentionWeights,
  joint: JointLatent,
  context: AttentionContext,
): Omit<AttentionValues, "output"> {
  const { positions, cache } = context;
  const latents = emitJointLatents(e, x, weights, joint, positions);
  const queries = emitUnturnedQueries(e, x, weights);
  const read = { weights, readers: emitReaders(e, weights, joint, cache?.coding) };
  const split = () => emitSplitHeads(e.at("latent"), latents, jointShape(weights));
  const attend = () => {
    if (cache === undefined) {
      const rotations = lateRotations(weights, joint, positions);
      return emitExpandedText(e, queries, split(), {
        ...read,
        rotations,
        score: scoreWindow(weights, context),
      });
    }
    const emitDelta = cache.coding === undefined ? emitDeltaJoint : emitQuantisedJoint;
    return context.kind === "delta" || context.kind === "ragged"
      ? emitDelta(e, { queries, latents }, { ...read, joint, positions, cache })
      : emitCached(e, { queries, fresh: split() }, joint, read, { ...context, cache });
  };
  const headOutputs = attend();
  const keys = { keys: latents, keysBeforeRope: latents, values: latents };
  return { queries, queriesBeforeRope: queries, ...keys, headOutputs };
}

/** Scores over a window of known length, a block of queries at a time where the context has blocks. */
function scoreWindow(
  weights: AttentionWeights,
  { positions, queryBlocks }: Pick<AttentionContext, "positions" | "queryBlocks">,
): emitExpandedText.Options["score"] {
  const bias = positions.scoreBias(weights);
  return (e, parts, shape) =>
    queryBlocks === undefined
      ? emitScored(e, { ...parts, bias }, shape)
      : emitBlocks(e, { ...parts, bias }, shape, queryBlocks);
}

function emitCached(
  e: Emitter,
  { queries, fresh }: { readonly queries: string; readonly fresh: string },
  joint: JointLatent,
  read: Pick<emitExpandedText.Options, "weights" | "readers">,
  { positions, cache }: AttentionContext & { readonly cache: CacheNames },
): string {
  const { weights } = read;
  const anchors = positions.anchors!;
  const bias = positions.scoreBias(weights);
  const score: emitExpandedText.Options["score"] = (at, parts, shape) =>
    emitScored(at, { ...parts, bias }, shape);
  const halves = emitJointCache(e.at("cache"), fresh, weights, cache);
  const latents = (at: Emitter) => {
    const presents = halves.map(({ present }) => present);
    return at.node("Concat", "latent/Concat", presents, { attributes: { axis: 3 } });
  };
  const dims = ["batch_size", "sequence_length", weights.output.inputs];
  if (readsAnchored(weights, joint)) {
    const rotations = textRotations(weights, joint, positions, anchors);
    return emitChoice(e, anchors.isStep(), {
      step: (at) => emitAnchoredJoint(at, queries, { ...read, bias, joint, anchors, halves }),
      text: (at) => emitExpandedText(at, queries, latents(at), { ...read, score, rotations }),
      dims,
    });
  }
  const rotations = lateRotations(weights, joint, positions);
  return emitChoice(e, anchors.isStep(), {
    step: (at) => emitExpandedStep(at, queries, latents(at), { ...read, score, rotations }),
    text: (at) => emitExpandedText(at, queries, latents(at), { ...read, score, rotations }),
    dims,
  });
}
