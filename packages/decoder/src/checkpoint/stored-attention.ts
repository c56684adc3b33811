import type { AttentionSource, AttentionSpec, ProjectionSource } from "../model/block-spec.js";
import type { AttentionWeights, HeadNormWeights, Linear } from "../model/decoder-weights.js";
import { contiguousColumns, groupedColumns, joinColumns, takeColumns } from "./fused-columns.js";
import { inverseOrder, reorderLinear, reorderNorm, storedToHalfSplit } from "./rope-order.js";
import { loadFused, loadLinear, storeLinear } from "./stored-linear.js";
import { loadHeadNorm, storeHeadNorm } from "./stored-norm.js";
import { numbersOf, type ReadTensor, type StoredTensor } from "./stored-tensor.js";

interface Projections {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
}

/** Reads the attention of a block, unfolded: three projections whatever the layout, heads in half-split order. */
export async function loadAttention(
  read: ReadTensor,
  source: AttentionSource,
  hiddenSize: number,
): Promise<AttentionWeights> {
  const { heads, kvHeads, headDim, output, queryNorm, keyNorm } = source;
  const order = storedToHalfSplit(source);
  // Heads that change their order are not written as they are stored.
  const reader = order === undefined ? read : numbersOf(read);
  const { query, key, value } = await loadProjections(reader, source, hiddenSize);
  const cache = { heads: kvHeads, size: headDim };
  return {
    ...attentionSpec(source),
    keys: cache,
    values: cache,
    query: reorderLinear(query, order),
    key: reorderLinear(key, order),
    value,
    output: await loadLinear(read, output, heads * headDim, hiddenSize),
    queryNorm: queryNorm && reorderNorm(await loadHeadNorm(read, queryNorm, heads, headDim), order),
    keyNorm: keyNorm && reorderNorm(await loadHeadNorm(read, keyNorm, kvHeads, headDim), order),
    rotated: undefined,
  };
}

/** What of a source is about the mathematics and not about its storage. */
export function attentionSpec(source: AttentionSource): AttentionSpec {
  const { heads, kvHeads, headDim, scale, rope, alibiSlopes, window, softCap, headNorm } = source;
  return { heads, kvHeads, headDim, scale, rope, alibiSlopes, window, softCap, headNorm };
}

async function loadProjections(
  read: ReadTensor,
  { projections, heads, kvHeads, headDim }: AttentionSource,
  inputs: number,
): Promise<Projections> {
  if (projections.layout === "split") {
    return {
      query: await loadLinear(read, projections.query, inputs, heads * headDim),
      key: await loadLinear(read, projections.key, inputs, kvHeads * headDim),
      value: await loadLinear(read, projections.value, inputs, kvHeads * headDim),
    };
  }
  const fused = await loadFused(read, projections.fused, inputs, (heads + 2 * kvHeads) * headDim);
  const columns = columnsOf(projections.layout, heads, kvHeads, headDim);
  return {
    query: takeColumns(fused, columns.query),
    key: takeColumns(fused, columns.key),
    value: takeColumns(fused, columns.value),
  };
}

const columnsOf = (
  layout: Exclude<ProjectionSource["layout"], "split">,
  heads: number,
  kvHeads: number,
  headDim: number,
) => (layout === "contiguous" ? contiguousColumns : groupedColumns)(heads, kvHeads, headDim);

/**
 * The opposite of `loadAttention`, for attention that keeps whole heads, maybe fewer of them: `keys.heads` in place of
 * `kvHeads`.
 */
export function storeAttention(source: AttentionSource, weights: AttentionWeights): readonly StoredTensor[] {
  const toHalfSplit = storedToHalfSplit(source);
  const order = toHalfSplit && inverseOrder(toHalfSplit);
  const { heads, headDim, keys, value } = weights;
  const query = reorderLinear(weights.query, order);
  const key = reorderLinear(weights.key, order);
  const norm = (kind: "queryNorm" | "keyNorm", count: number): readonly StoredTensor[] => {
    const [from, to] = [weights[kind], source[kind]];
    if (from === undefined || to === undefined) return [];
    return storeHeadNorm(to, reorderNorm(from as HeadNormWeights, order), count, headDim);
  };
  return [
    ...storeProjections(source.projections, { query, key, value }, [heads, keys.heads, headDim]),
    ...storeLinear(source.output, weights.output),
    ...norm("queryNorm", heads),
    ...norm("keyNorm", keys.heads),
  ];
}

function storeProjections(
  source: ProjectionSource,
  { query, key, value }: Projections,
  [heads, kvHeads, headDim]: readonly [number, number, number],
): readonly StoredTensor[] {
  if (source.layout === "split") {
    return [
      ...storeLinear(source.query, query),
      ...storeLinear(source.key, key),
      ...storeLinear(source.value, value),
    ];
  }
  const columns = columnsOf(source.layout, heads, kvHeads, headDim);
  const fused = joinColumns([
    { linear: query, ranges: columns.query },
    { linear: key, ranges: columns.key },
    { linear: value, ranges: columns.value },
  ]);
  return storeLinear(source.fused, fused);
}
