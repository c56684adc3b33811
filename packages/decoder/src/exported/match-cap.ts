import { bothOrders, type ExportedGraph, nodeOf } from "./exported-graph.js";
import { isNumber } from "./match-norm.js";

/** What a soft cap is applied to, `cap * tanh(x / cap)`; the value itself where there is to be none. */
export function beneathCap(graph: ExportedGraph, value: string, cap: number | undefined): string | undefined {
  if (cap === undefined) return value;
  for (const [bent, factor] of bothOrders(nodeOf(graph, value, "Mul"))) {
    const inside = nodeOf(graph, nodeOf(graph, bent, "Tanh")?.inputs[0] ?? "", "Div");
    if (inside !== undefined && [factor, inside.inputs[1]!].every((by) => isNumber(graph, by, cap)))
      return inside.inputs[0]!;
  }
  return undefined;
}
