import { float32Value, type GraphScope } from "@kvfold/onnx";
import type { Adapter } from "./adapters.js";

/**
 * A scope that adds adapters to what is written through it. A product with an adapted weight gets `scale (x A) B` added, so
 * that no gradient by the weight itself is ever computed. Where a weight is used in another way, `W + scale A B` stands in
 * its place.
 */
export function adaptedScope(graph: GraphScope, adapters: readonly Adapter[], scale: number): GraphScope {
  const byWeight = new Map(adapters.map((adapter) => [adapter.weight, adapter]));
  const whole = new Map<string, string>();
  const scaled = (value: string, name: string): string => {
    if (scale === 1) return value;
    const factor = graph.constant("adapters/scale", float32Value([], Float32Array.of(scale)));
    return graph.node("Mul", [value, factor], { name });
  };
  const wholeWeight = (weight: string): string => {
    const adapter = byWeight.get(weight);
    if (adapter === undefined) return weight;
    const name = `/adapters/${weight}`;
    const known = whole.get(weight) ?? emitWhole(name, weight, adapter);
    whole.set(weight, known);
    return known;
  };
  const emitWhole = (name: string, weight: string, { down, up }: Adapter): string => {
    const product = graph.node("MatMul", [down.name, up.name], { name: `${name}/product` });
    return graph.node("Add", [weight, scaled(product, `${name}/scaled`)], { name: `${name}/whole` });
  };
  const node: GraphScope["node"] = (operator, inputs, options) => {
    const adapter = operator === "MatMul" ? byWeight.get(inputs[1]!) : undefined;
    if (adapter === undefined) return graph.node(operator, inputs.map(wholeWeight), options);
    const { name } = options;
    const base = graph.node(operator, inputs, options);
    const lowered = graph.node("MatMul", [inputs[0]!, adapter.down.name], { name: `${name}/adapter/down` });
    const raised = graph.node("MatMul", [scaled(lowered, `${name}/adapter/scaled`), adapter.up.name], {
      name: `${name}/adapter/up`,
    });
    return graph.node("Add", [base, raised], { name: `${name}/adapter/Add` });
  };
  return {
    ...graph,
    node,
    nodeWithOutputs: (operator, inputs, outputs, options) =>
      graph.nodeWithOutputs(operator, inputs.map(wholeWeight), outputs, options),
  };
}
