import type { AttentionSource } from "../model/block-spec.js";
import type { Attention } from "./attention-parts.js";
import { type ExportedGraph, isInput, nodeOf, unrecognised } from "./exported-graph.js";
import { matchGroupQueryAttention } from "./match-group-query-attention.js";
import { requireHeads, requireValues } from "./match-heads.js";
import { matchMultiHeadAttention } from "./match-multi-head-attention.js";
import { matchPlainAttention } from "./match-plain-attention.js";

/** Reads attention back from what the output projection takes: fused by ONNX Runtime's operators, or in parts. */
export function requireAttention(
  graph: ExportedGraph,
  value: string,
  spec: AttentionSource,
  where: string,
): Attention {
  const grouped = matchGroupQueryAttention(graph, value, spec, where);
  if (grouped !== undefined) return grouped;
  const inputs =
    matchMultiHeadAttention(graph, value, spec, where) ?? matchPlainAttention(graph, value, spec, where);
  if (inputs === undefined)
    throw unrecognised(graph, value, `the attention of ${where}, softmax(q k^T + mask) v or one operator`);
  return {
    query: requireHeads(graph, inputs.query, spec, "queries", where),
    key: requireHeads(graph, newRows(graph, inputs.key), spec, "keys", where),
    value: requireValues(graph, newRows(graph, inputs.value), where),
  };
}

/** Operators that repeat KV heads for the query heads that read them. */
const REPEATS = ["Reshape", "Transpose", "Expand", "Unsqueeze", "Tile"] as const;

/** The rows of new tokens, which follow the cached ones; the value itself where the operator keeps the cache. */
function newRows(graph: ExportedGraph, value: string): string {
  const node = nodeOf(graph, value, ...REPEATS, "Concat");
  if (node === undefined) return value;
  const [first, second] = node.inputs;
  if (node.operator !== "Concat") {
    const found = newRows(graph, first!);
    return found === first ? value : found;
  }
  return isInput(graph, first!) && node.inputs.length === 2 ? second! : value;
}
