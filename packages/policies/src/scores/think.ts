import { wholeShare } from "../whole-share.js";
import { bestIndices } from "./best-indices.js";
import { groupMeans } from "./group-means.js";
import { type HeadRows, requireQueries, requireShares, rowsOfHead } from "./head-rows.js";

export declare namespace thinkChannels {
  interface Options {
    /** `[Hkv, T, d]`, as they are cached. */
    readonly keys: HeadRows;
    /** `[H, W, d]`: the queries of the last tokens; the paper takes 32. */
    readonly queries: HeadRows;
    /** Share of a key's channels to remove; the whole part of `d * removed` goes. The paper takes 0.3 to 0.5. */
    readonly removed: number;
  }
}

/**
 * ThinK: the channels of its keys that each KV head keeps. Without channel `j` the scores of `W` queries and `T` keys change by
 * a matrix of squared norm `|q_j|² |k_j|²`; the channels with the smallest product go. Values stay whole.
 *
 * Source: Xu et al., "ThinK", arXiv 2407.21018. The query term is averaged over the query heads of a group, as in kvpress; the
 * authors repeat KV heads instead. The scale of attention stays that of all channels. The authors leave the latest keys whole;
 * that is up to the caller. kvpress does not, and its reference figures are without.
 *
 * Numerics: float64, rounded to float32 before they are compared. Of equal channels the first stay.
 *
 * @returns For each KV head the channels that stay, ascending.
 * @throws {PolicyError} when keys and queries do not fit, or when `removed` is not a share.
 */
export function thinkChannels({ keys, queries, removed }: thinkChannels.Options): readonly Int32Array[] {
  requireQueries("thinkChannels", keys, queries);
  requireShares("thinkChannels", { removed });
  const ofQueries = groupMeans(channelEnergies(queries), keys.heads, keys.width);
  const scores = channelEnergies(keys).map((energy, at) => energy * ofQueries[at]!);
  const kept = keys.width - wholeShare(keys.width, removed);
  return Array.from({ length: keys.heads }, (_, head) =>
    bestIndices(Float32Array.from(scores.subarray(head * keys.width, (head + 1) * keys.width)), kept),
  );
}

/** The mean square of each channel over the rows, `[heads, width]`. */
function channelEnergies(vectors: HeadRows): Float64Array {
  const { heads, rows, width } = vectors;
  const energies = new Float64Array(heads * width);
  for (let head = 0; head < heads; head++) {
    const ofHead = rowsOfHead(vectors, head);
    const sums = energies.subarray(head * width, (head + 1) * width);
    for (let first = 0; first < ofHead.length; first += width) {
      for (let j = 0; j < width; j++) sums[j]! += (ofHead[first + j]! * ofHead[first + j]!) / rows;
    }
  }
  return energies;
}
