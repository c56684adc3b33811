import type { GraphNode } from "@kvfold/onnx";
import type { AttentionSource } from "../model/block-spec.js";
import type { Attention, Heads } from "./attention-parts.js";
import { type ExportedGraph, nodeOf, unrecognised } from "./exported-graph.js";
import { requireHeads, requireValues } from "./match-heads.js";
import { floatOf, isNear, type Norm } from "./match-norm.js";
import { matchPart, type ProductPart } from "./match-part.js";
import { cosineTable, type RotationSource } from "./match-rotation.js";

/** Places of inputs in GroupQueryAttention. */
const COSINES = 7;
const QUERY_NORM = 14;
const KEY_NORM = 15;
/** Inputs that change the result in ways that no family here has: a bias, sinks, scales of a quantised cache. */
const REFUSED = [10, 11, 12, 13];

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
    query: withOwnParts(graph, node, requireHeads(graph, query!, spec, "queries", where), QUERY_NORM),
    key: withOwnParts(graph, node, requireHeads(graph, key, spec, "keys", where), KEY_NORM),
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
  const refused = REFUSED.some((index) => (node.inputs[index] ?? "") !== "");
  if (isAlike && !refused) return;
  throw unrecognised(
    graph,
    node.outputs[0]!,
    `attention of ${where} as config.json describes it (${heads} heads, ${kvHeads} KV heads, scale ${scale}, window ${window ?? "none"}, soft cap ${softCap ?? "none"})`,
  );
}

/** A rotation and norms that the operator does itself. */
function withOwnParts(graph: ExportedGraph, node: GraphNode, heads: Heads, normInput: number): Heads {
  return {
    part: heads.part,
    norm: heads.norm ?? ownNorm(graph, node, normInput),
    rotation: heads.rotation ?? ownRotation(graph, node),
  };
}

function ownRotation(graph: ExportedGraph, { attributes, inputs }: GraphNode): RotationSource | undefined {
  if (attributes.do_rotary !== 1) return undefined;
  return cosineTable(graph, inputs[COSINES] ?? "", attributes.rotary_interleaved === 1);
}

function ownNorm(graph: ExportedGraph, { attributes, inputs }: GraphNode, index: number): Norm | undefined {
  const weight = graph.constant(inputs[index] ?? "");
  if (weight === undefined) return undefined;
  const epsilon = floatOf(attributes.qk_norm_epsilon, 1e-6);
  return { input: inputs[0]!, kind: "rms", epsilon, weight, bias: undefined };
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
    withOwnParts(graph, node, { part: side, norm: undefined, rotation: undefined }, QUERY_NORM);
  return {
    query: turned(columns(0, queries)),
    key: turned(columns(queries, keys)),
    value: columns(queries + keys, keys),
  };
}
