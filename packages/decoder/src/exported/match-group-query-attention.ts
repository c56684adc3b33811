import type { GraphNode } from "@kvfold/onnx";
import type { AttentionSource } from "../model/block-spec.js";
import type { Attention, Heads } from "./attention-parts.js";
import { type ExportedGraph, nodeOf, unrecognised } from "./exported-graph.js";
import { requireHeads, requireValues } from "./match-heads.js";
import { floatOf, isNear } from "./match-norm.js";
import { matchPart, type ProductPart } from "./match-part.js";
import { cosineTable, type RotationSource } from "./match-rotation.js";

/** Places of inputs in GroupQueryAttention. */
const COSINES = 7;
/** Inputs that change the result and are not read: a bias, sinks, scales of a quantised cache, norms of queries and keys. */
const REFUSED = [10, 11, 12, 13, 14, 15];

/** Reads `com.microsoft.GroupQueryAttention`, whose queries, keys and values may come as one tensor. */
export function matchGroupQueryAttention(
  graph: ExportedGraph,
  value: string,
  spec: AttentionSource,
  where: string,
): Attention | undefined {
  const node = nodeOf(graph, value, "GroupQueryAttention");
  if (node === undefined) return undefined;
  requireSettings(graph, node, spec, where);
  const [query, key = "", values = ""] = node.inputs;
  if (key === "") return packedAttention(graph, node, spec, where);
  return {
    query: withOwnRotation(graph, node, requireHeads(graph, query!, spec, "queries", where)),
    key: withOwnRotation(graph, node, requireHeads(graph, key, spec, "keys", where)),
    value: requireValues(graph, values, where),
  };
}

function requireSettings(
  graph: ExportedGraph,
  node: GraphNode,
  { heads, kvHeads, headDim, scale, window, softCap }: AttentionSource,
  where: string,
): void {
  const { num_heads, kv_num_heads, local_window_size = -1 } = node.attributes;
  const found = {
    scale: floatOf(node.attributes.scale, 0) || 1 / Math.sqrt(headDim),
    softCap: floatOf(node.attributes.softcap, 0),
  };
  const isAlike =
    num_heads === heads &&
    kv_num_heads === kvHeads &&
    isNear(found.scale, scale) &&
    isNear(found.softCap, softCap ?? 0) &&
    ((local_window_size as number) > 0 ? local_window_size : undefined) === window;
  if (!isAlike)
    throw unrecognised(
      graph,
      node.outputs[0]!,
      `attention of ${where} as config.json describes it (${heads} heads, ${kvHeads} KV heads, scale ${scale}, window ${window ?? "none"}, soft cap ${softCap ?? "none"})`,
    );
  const refused = REFUSED.find((index) => (node.inputs[index] ?? "") !== "");
  if (refused !== undefined)
    throw unrecognised(
      graph,
      node.outputs[0]!,
      `attention of ${where} without ${node.inputs[refused]} (input ${refused})`,
    );
}

/** Heads with the rotation that the operator does itself, if it does one. */
const withOwnRotation = (graph: ExportedGraph, node: GraphNode, heads: Heads): Heads => ({
  ...heads,
  rotation: heads.rotation ?? ownRotation(graph, node),
});

function ownRotation(graph: ExportedGraph, { attributes, inputs }: GraphNode): RotationSource | undefined {
  if (attributes.do_rotary !== 1) return undefined;
  return cosineTable(graph, inputs[COSINES] ?? "", attributes.rotary_interleaved === 1);
}

/** Queries, keys and values side by side. */
function packedAttention(
  graph: ExportedGraph,
  node: GraphNode,
  { heads, kvHeads, headDim, queryNorm }: AttentionSource,
  where: string,
): Attention {
  const part = matchPart(graph, node.inputs[0]!);
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  const isWhole = part?.start === 0 && part.end === queries + 2 * keys;
  if (part === undefined || !isWhole || queryNorm !== undefined)
    throw unrecognised(graph, node.inputs[0]!, `one projection to queries, keys and values of ${where}`);
  const { product } = part;
  const columns = (start: number, size: number): ProductPart => ({ product, start, end: start + size });
  const turned = (side: ProductPart): Heads =>
    withOwnRotation(graph, node, { part: side, norm: undefined, rotation: undefined });
  return {
    query: turned(columns(0, queries)),
    key: turned(columns(queries, keys)),
    value: columns(queries + keys, keys),
  };
}
