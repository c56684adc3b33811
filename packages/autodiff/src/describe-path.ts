import { type GraphNode, valuesReadBy } from "@kvfold/onnx";
import { nodeLabel } from "./attributes.js";

/** How many nodes of a path a message names on each side. */
const SHOWN = 3;

/** A way from an input through `node` to an output, as a message shows it: `x → MatMul "a" → Foo "b" → y`. */
export function describePath(
  nodes: readonly GraphNode[],
  node: GraphNode,
  inputs: readonly string[],
  outputs: readonly string[],
): string {
  const before = walkBack(nodes, node, new Set(inputs));
  const after = walkOn(nodes, node, new Set(outputs));
  return [...shortened(before.toReversed()), nodeLabel(node), ...shortened(after)].join(" → ");
}

/** Labels from `node` to one of the inputs, without its own. */
function walkBack(
  nodes: readonly GraphNode[],
  node: GraphNode,
  inputs: ReadonlySet<string>,
): readonly string[] {
  const known = reachable(nodes, inputs);
  const labels: string[] = [];
  let at = node;
  for (;;) {
    const read = valuesReadBy(at);
    const input = read.find((name) => inputs.has(name));
    if (input !== undefined) return [...labels, input];
    const value = read.find((name) => known.has(name));
    const next = nodes.find(({ outputs }) => value !== undefined && outputs.includes(value));
    if (next === undefined) return labels;
    labels.push(nodeLabel(next));
    at = next;
  }
}

function walkOn(
  nodes: readonly GraphNode[],
  node: GraphNode,
  outputs: ReadonlySet<string>,
): readonly string[] {
  const labels: string[] = [];
  let at = node;
  for (;;) {
    const output = at.outputs.find((name) => outputs.has(name));
    if (output !== undefined) return [...labels, output];
    const written = at.outputs;
    const next = nodes.find((reader) => valuesReadBy(reader).some((name) => written.includes(name)));
    if (next === undefined) return labels;
    labels.push(nodeLabel(next));
    at = next;
  }
}

/** Values that depend on the inputs. */
function reachable(nodes: readonly GraphNode[], inputs: ReadonlySet<string>): ReadonlySet<string> {
  const found = new Set(inputs);
  for (const node of nodes)
    if (valuesReadBy(node).some((name) => found.has(name))) for (const name of node.outputs) found.add(name);
  return found;
}

const shortened = (labels: readonly string[]): readonly string[] =>
  labels.length <= 2 * SHOWN ? labels : [...labels.slice(0, SHOWN), "…", ...labels.slice(-SHOWN)];
