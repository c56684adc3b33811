import type { Emitter } from "../emitter.js";
import type { CodedRows } from "../quantised/coded-rows.js";
import { codedShape } from "../quantised/coded-shape.js";
import { emitCodedRows } from "../quantised/emit-coded-rows.js";
import { emitCodedShared } from "../quantised/emit-coded-shared.js";
import { emitCodedSums } from "../quantised/emit-coded-sums.js";
import { emitCentred, emitDecoded, emitDecodedPast, emitUnpacked } from "../quantised/emit-decoded.js";
import { emitLatentUnits } from "../quantised/emit-latent-units.js";
import { emitGraphFloat } from "../quantised/emit-widths.js";
import { emitCachedJoint } from "./emit-cached-joint.js";
import { emitPastScores } from "./emit-delta-joint.js";
import { jointShape } from "./joint-shape.js";

/** `emitDeltaJoint` with a quantised cache. The readers of rotated latents are rotated. */
export function emitQuantisedJoint(
  e: Emitter,
  { queries, latents }: { readonly queries: string; readonly latents: string },
  options: emitCachedJoint.Options,
): string {
  const { weights, positions } = options;
  const latent = jointShape(weights);
  const rows = emitLatentRows(e.at("latent"), latents, options);
  const count = weights.heads / latent.heads;
  const read = {
    fresh: rows.fresh,
    whole: (at: Emitter) => emitDecoded(at, rows),
    pastScores: (at: Emitter) => emitCodedPastScores(at, queries, rows, options),
    average: (at: Emitter, shares: string) =>
      emitCodedShared(at, shares, rows, positions, (past, pastShares) => {
        const sums = emitCodedSums(past, pastShares, rows, count);
        if (rows.pastMeans === undefined) return sums;
        return past.node("Add", "means/Add", [
          sums,
          past.node("MatMul", "means/MatMul", [pastShares, rows.pastMeans]),
        ]);
      }),
  };
  return emitCachedJoint(e, queries, read, options);
}

/**
 * Scores of cached latents, `[B, groups, H / groups, P]`. Runs of few slots are too small for products of integers, so codes
 * become floats; their scales go to the scores.
 */
function emitCodedPastScores(
  e: Emitter,
  queries: string,
  rows: CodedRows,
  options: emitCachedJoint.Options,
): string {
  const at = e.at("scores/codes");
  const { shape, pastScales } = rows;
  if (shape.groups > 1 || rows.pastMeans !== undefined)
    return emitPastScores(e, queries, emitDecodedPast(at, rows), options);
  const centred = emitGraphFloat(at, emitCentred(at, emitUnpacked(at, rows), rows.shape.coding));
  const scores = emitPastScores(e, queries, centred, options);
  const byRow = at.reshape("scales/Reshape", pastScales, [0, shape.heads, 1, -1]);
  const scales = at.floatType === "float16" ? byRow : at.cast("scales/Cast", byRow, "float32");
  return at.node("Mul", "scales/Mul", [scores, scales]);
}

/** Rows of latents; where their statistics are known, less their means and in units of their own. */
function emitLatentRows(
  e: Emitter,
  latents: string,
  { weights, readers, positions, cache }: emitCachedJoint.Options,
): CodedRows {
  const latent = jointShape(weights);
  if (readers.units === undefined) return emitCodedRows(e, latents, latent, cache, "latent");
  const units = emitLatentUnits(e.at("units"), readers.units, codedShape(latent, cache.coding!));
  const [fresh, past] = [positions.anchors!.slots("new"), positions.anchors!.slots("past")];
  const mixed = { ...cache, coding: { ...cache.coding!, isRotated: false } };
  const rows = emitCodedRows(e, units.there(e.at("units/there"), latents, fresh), latent, mixed, "latent");
  return {
    ...rows,
    fresh: e.node("Add", "means/Add", [rows.fresh, units.means(e.at("units/fresh"), fresh)]),
    pastMeans: units.means(e.at("units/past"), past),
  };
}
