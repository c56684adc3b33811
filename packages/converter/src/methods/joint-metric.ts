import { add, createMatrix, type Matrix, scale, secondMoment, sliceMoments } from "@kvfold/linalg";
import type { JointGroup } from "./method.js";
import { headSensitivities, type Tempering, temperWithinLayer } from "./tempering.js";

/**
 * What an error in the keys of each KV head costs as they enter the latent, `[d, d]` each, summed over the query heads that
 * read it: the expected squared error of the layer's output, the unit of `outputMetric`, so that keys and values can share a
 * latent. Such a key meets a query that is turned to the start of the key's chunk: by the distance between them, and by the
 * key's offset in its chunk (docs/method.md, Anchored latents).
 */
export function localKeyMetric(group: JointGroup, temper: Tempering = temperWithinLayer): readonly Matrix[] {
  const { headDim, measured, readers, turned, keyGains, normGains } = group;
  const meeting = measured("queriesAtKeys");
  const factors = temper(headSensitivities(meeting, measured("queries"), headDim));
  const ofHead = (head: number): Matrix => {
    const moments = turned(sliceMoments(meeting, head * headDim, (head + 1) * headDim));
    return scale(secondMoment(moments), factors[head]!);
  };
  return readers.map((heads, kvHead) => {
    const metric = weighted(heads.map(ofHead).reduce(add), keyGains);
    const behindNorm = normGains?.subarray(kvHead * headDim, (kvHead + 1) * headDim);
    return behindNorm === undefined ? metric : weighted(metric, behindNorm);
  });
}

/** `G M G` with `G` the diagonal matrix of the gains. */
function weighted({ rows: size, data }: Matrix, gains: Float64Array): Matrix {
  const weigh = (value: number, at: number) => value * gains[Math.floor(at / size)]! * gains[at % size]!;
  return createMatrix(size, size, data.map(weigh));
}
