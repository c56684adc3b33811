import { emitSoftmax } from "../emit-scored.js";
import { emitSoftCap } from "../emit-soft-cap.js";
import type { Emitter } from "../emitter.js";
import type { CodedRows } from "../quantised/coded-rows.js";
import { emitCodedRows } from "../quantised/emit-coded-rows.js";
import { emitCodedShared } from "../quantised/emit-coded-shared.js";
import { emitCodedSums } from "../quantised/emit-coded-sums.js";
import { emitCentred, emitDecoded, emitDecodedPast, emitUnpacked } from "../quantised/emit-decoded.js";
import { emitGraphFloat } from "../quantised/emit-widths.js";
import { emitChoice } from "./emit-choice.js";
import { type emitDeltaJoint, emitOwnScores, emitPastScores } from "./emit-delta-joint.js";
import { emitExpandedStep, emitExpandedText } from "./emit-expanded-joint.js";
import { emitHeadOutputs } from "./emit-run-scores.js";
import { jointShape } from "./joint-shape.js";
import { lateRotations, textRotations } from "./late-rotations.js";
import { readsAnchored } from "./reads-anchored.js";

/** `emitDeltaJoint` with a quantised cache. The readers of rotated latents are rotated. */
export function emitQuantisedJoint(
  e: Emitter,
  { queries, latents }: { readonly queries: string; readonly latents: string },
  options: emitDeltaJoint.Options,
): string {
  const { weights, joint, positions } = options;
  const anchors = positions.anchors!;
  const rows = emitCodedRows(e.at("latent"), latents, jointShape(weights), options.cache, "latent");
  const isAnchored = readsAnchored(weights, joint);
  const rotations = isAnchored
    ? textRotations(weights, joint, positions, anchors)
    : lateRotations(weights, joint, positions);
  const whole = (at: Emitter) => emitDecoded(at.at("latent"), rows);
  return emitChoice(e, anchors.isStep(), {
    step: (at) =>
      isAnchored
        ? emitAnchoredStep(at, queries, rows, options)
        : emitExpandedStep(at, queries, whole(at), { ...options, rotations }),
    text: (at) => emitExpandedText(at, queries, whole(at), { ...options, rotations }),
    dims: ["batch_size", "sequence_length", weights.output.inputs],
  });
}

/** One query of each head, `[B, 1, H * d]`, against latents as they are cached. Gives `[B, 1, H * n]`. */
function emitAnchoredStep(
  e: Emitter,
  queries: string,
  rows: CodedRows,
  options: emitDeltaJoint.Options,
): string {
  const { weights, readers, bias, positions } = options;
  const { heads, softCap } = weights;
  const latent = jointShape(weights);
  const past = emitCodedPastScores(e, queries, rows, options);
  const own = emitOwnScores(e, queries, rows.fresh, options);
  const raw = e.node("Concat", "scores/Concat", [past, own], { attributes: { axis: 3 } });
  const scores = softCap === undefined ? raw : emitSoftCap(e.at("scores"), raw, softCap);
  const shares = emitSoftmax(e.at("softmax"), scores, heads, latent.heads, bias);
  const average = emitCodedShared(e.at("average"), shares, rows, positions, (at, pastShares) =>
    emitCodedSums(at, pastShares, rows, heads / latent.heads),
  );
  return emitHeadOutputs(e, average, weights, readers);
}

/**
 * Scores of cached latents, `[B, groups, H / groups, P]`. Runs of few slots are too small for products of integers, so codes
 * become floats; their scales go to the scores.
 */
function emitCodedPastScores(
  e: Emitter,
  queries: string,
  rows: CodedRows,
  options: emitDeltaJoint.Options,
): string {
  const at = e.at("scores/codes");
  const { shape, pastScales } = rows;
  if (shape.groups > 1) return emitPastScores(e, queries, emitDecodedPast(at, rows), options);
  const centred = emitGraphFloat(at, emitCentred(at, emitUnpacked(at, rows), rows.shape.coding));
  const scores = emitPastScores(e, queries, centred, options);
  const byRow = at.reshape("scales/Reshape", pastScales, [0, shape.heads, 1, -1]);
  const scales = at.floatType === "float16" ? byRow : at.cast("scales/Cast", byRow, "float32");
  return at.node("Mul", "scales/Mul", [scores, scales]);
}
