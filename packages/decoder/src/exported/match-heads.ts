import type { AttentionSource, HeadNormSource } from "../model/block-spec.js";
import type { Heads } from "./attention-parts.js";
import { axesOf, type ExportedGraph, nodeOf, unrecognised } from "./exported-graph.js";
import { matchNorm, type Norm } from "./match-norm.js";
import { matchPart, type ProductPart } from "./match-part.js";
import { matchRotation, type RotationSource } from "./match-rotation.js";

/** Reads heads back to their projection: through norm, rotation and what only arranges numbers. */
export function requireHeads(
  graph: ExportedGraph,
  value: string,
  { headDim, queryNorm, keyNorm }: AttentionSource,
  side: "queries" | "keys",
  where: string,
): Heads {
  const spec: HeadNormSource | undefined = side === "queries" ? queryNorm : keyNorm;
  let [at, norm, rotation] = [value, undefined as Norm | undefined, undefined as RotationSource | undefined];
  for (;;) {
    at = beneathHeads(graph, at, headDim);
    const rotated = rotation === undefined ? matchRotation(graph, at) : undefined;
    const normed = spec !== undefined && norm === undefined ? matchNorm(graph, at) : undefined;
    const next = rotated?.input ?? normed?.input;
    if (next === undefined) break;
    [at, norm, rotation] = [next, norm ?? normed, rotation ?? rotated?.source];
  }
  const part = requirePart(graph, at, `the projection to the ${side} of ${where}`);
  if (spec !== undefined && norm === undefined)
    throw unrecognised(graph, value, `a norm of the ${side} of ${where}`);
  return { part, norm, rotation };
}

/** Reads values back to their projection. */
export function requireValues(graph: ExportedGraph, value: string, where: string): ProductPart {
  const node = nodeOf(graph, value, "Reshape", "Transpose");
  if (node !== undefined) return requireValues(graph, node.inputs[0]!, where);
  return requirePart(graph, value, `the projection to the values of ${where}`);
}

function requirePart(graph: ExportedGraph, value: string, what: string): ProductPart {
  const part = matchPart(graph, value);
  if (part !== undefined) return part;
  throw unrecognised(graph, value, `${what}, a product with a constant matrix`);
}

/** Follows a value of heads back through what arranges them: `[B, S, H * d]`, `[B, S, H, d]`, `[B, H, S, d]`. */
function beneathHeads(graph: ExportedGraph, value: string, headDim: number): string {
  const node = nodeOf(graph, value, "Reshape", "Transpose");
  if (node === undefined) return value;
  const isArranged =
    node.operator === "Reshape" ? keepsHeads(graph, node.inputs[1]!, headDim) : axesOf(node) === "0,2,1,3";
  return isArranged ? beneathHeads(graph, node.inputs[0]!, headDim) : value;
}

/** Whether a shape ends in whole heads, as far as it is constant. */
function keepsHeads(graph: ExportedGraph, shape: string, headDim: number): boolean {
  const last =
    graph.constant(shape)?.small?.at(-1) ??
    graph.constant(nodeOf(graph, shape, "Concat")?.inputs.at(-1) ?? "")?.small?.at(-1);
  return last === undefined || last === -1 || last % headDim === 0;
}
