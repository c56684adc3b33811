import type { AttentionSource } from "../model/block-spec.js";
import type { AttentionInputs } from "./attention-parts.js";
import { type ExportedGraph, nodeOf, unrecognised } from "./exported-graph.js";
import { floatOf, isNear } from "./match-norm.js";

/** Reads `com.microsoft.MultiHeadAttention`; KV heads that several query heads read are repeated before it. */
export function matchMultiHeadAttention(
  graph: ExportedGraph,
  value: string,
  { heads, headDim, scale, softCap }: AttentionSource,
  where: string,
): AttentionInputs | undefined {
  const node = nodeOf(graph, value, "MultiHeadAttention");
  if (node === undefined) return undefined;
  const [query, key = "", values = "", bias = ""] = node.inputs;
  const found = floatOf(node.attributes.scale, 0) || 1 / Math.sqrt(headDim);
  const isAlike = node.attributes.num_heads === heads && isNear(found, scale) && softCap === undefined;
  if (isAlike && key !== "" && bias === "") return { query: query!, key, value: values };
  throw unrecognised(
    graph,
    value,
    `attention of ${where} over queries, keys and values apart, with ${heads} heads and scale ${scale}`,
  );
}
