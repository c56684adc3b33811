import type { HeadView } from "@kvfold/policies";
import { type ObservedLayer, observedAttention, observedQueries, observedSums } from "./observed-layer.js";
import { headKeys, headPositions, headValues, type RaggedLayerCache } from "./ragged-layer.js";

/**
 * What a head has cached. Most policies look at a part of it, and at most steps at nothing but the number of tokens: the rest
 * is taken from the cache when it is first read.
 */
export function headView(
  layer: RaggedLayerCache,
  head: number,
  { queryHeads, observed }: { readonly queryHeads: number; readonly observed: ObservedLayer | undefined },
): HeadView {
  const tokens = layer.lengths[head]!;
  const keys = once(() => headKeys(layer, head));
  // A joint latent is one array under both names, so that policies which change numbers see that it is.
  const values = layer.parts.length === 1 ? keys : once(() => headValues(layer, head));
  const queries = once(() => observed && observedQueries(observed, head));
  const attention = once(() => observed && observedAttention(observed, head));
  const attentionSums = once(() => observed && observedSums(observed, head));
  return {
    tokens,
    queryHeads,
    positions: headPositions(layer, head),
    get keys() {
      return keys();
    },
    get values() {
      return values();
    },
    get queries() {
      return queries();
    },
    get attention() {
      return attention();
    },
    get attentionSums() {
      return attentionSums();
    },
  };
}

function once<T>(read: () => T): () => T {
  let known: { readonly value: T } | undefined;
  return () => {
    known ??= { value: read() };
    return known.value;
  };
}
