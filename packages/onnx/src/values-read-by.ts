import type { GraphNode, Subgraph } from "./graph-view.js";

/** All values that a node reads from the graph it lies in: its inputs, and what graphs inside it (branches of If) read. */
export function valuesReadBy(node: GraphNode): readonly string[] {
  const inner = subgraphs(node).flatMap(outerReads);
  return [...new Set([...node.inputs.filter((name) => name !== ""), ...inner])];
}

const subgraphs = ({ attributes }: GraphNode): readonly Subgraph[] =>
  Object.values(attributes).flatMap((value) =>
    typeof value === "object" && "graph" in value ? [value.graph] : [],
  );

/** What a graph inside a node does not define itself. */
function outerReads({ nodes, inputs, outputs, initializers }: Subgraph): readonly string[] {
  const own = new Set([...initializers.keys(), ...inputs.map(({ name }) => name)]);
  for (const node of nodes) for (const name of node.outputs) own.add(name);
  const read = [...nodes.flatMap(valuesReadBy), ...outputs.map(({ name }) => name)];
  return read.filter((name) => !own.has(name));
}
