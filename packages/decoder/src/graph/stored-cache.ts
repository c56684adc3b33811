import type { AttentionSpec } from "../model/block-spec.js";
import type { AttentionWeights, CacheShape } from "../model/decoder-weights.js";
import type { AttentionKind } from "./positions.js";

/** How the cache of one block appears in a graph's inputs and outputs. */
export interface StoredCache {
  readonly keys: CacheShape;
  readonly values: CacheShape;
}

/**
 * Keys and values of the same shape are stored as they are. Where spans differ (plain attention), both are stored
 * as heads of the narrower size where that divides the wider one, so that clients which assume one shape for keys and
 * values still work.
 */
export function storedCache({ keys, values }: Pick<AttentionWeights, "keys" | "values">): StoredCache {
  const size = Math.min(keys.size, values.size);
  const narrow = (shape: CacheShape): CacheShape =>
    shape.size % size === 0 ? { heads: shape.heads * (shape.size / size), size } : shape;
  return { keys: narrow(keys), values: narrow(values) };
}

/** GroupQueryAttention wants heads of a multiple of eight numbers, on every execution provider. */
const HEAD_SIZE_MULTIPLE = 8;

/** The attention that fits: the fused operator wherever it can compute these shapes from the cache as it is. */
export function attentionKind(
  { keys, values, expanded, joint }: Pick<AttentionWeights, "keys" | "values" | "expanded" | "joint">,
  { alibiSlopes, softCap }: Pick<AttentionSpec, "alibiSlopes" | "softCap">,
): AttentionKind {
  const isSame = keys.heads === values.heads && keys.size === values.size;
  const isPlainScore = alibiSlopes === undefined && softCap === undefined;
  const isReadAsCached = expanded === undefined && joint === undefined;
  const fits = isSame && isPlainScore && isReadAsCached && keys.size % HEAD_SIZE_MULTIPLE === 0;
  return fits ? "group-query" : "plain";
}

/** The attention of a graph: the fused operator where it fits every layer. */
export const sharedAttentionKind = (kinds: readonly AttentionKind[]): AttentionKind =>
  kinds.every((kind) => kind === "group-query") ? "group-query" : "plain";

/** The attention of an unfolded model. */
export const unfoldedAttentionKind = (
  blocks: readonly { readonly attention: AttentionSpec }[],
): AttentionKind =>
  sharedAttentionKind(
    blocks.map(({ attention }) => {
      const cache = { heads: attention.kvHeads, size: attention.headDim };
      return attentionKind({ keys: cache, values: cache, expanded: undefined }, attention);
    }),
  );
