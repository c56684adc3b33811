import type { GraphBuilder, GraphNode } from "@kvfold/onnx";
import type { ActivePart } from "./active-part.js";
import { nodeLabel, operatorKey } from "./attributes.js";
import { AutodiffError } from "./autodiff-error.js";
import { describePath } from "./describe-path.js";
import type { FloatType } from "./float-type.js";
import type { ForwardShapes } from "./forward-shapes.js";
import type { GradientEmitter } from "./gradient-emitter.js";
import type { DifferentiatedNode, GradientRule } from "./gradient-rule.js";
import type { ReadForward } from "./recomputed-values.js";
import { reduceTo } from "./reduce-to.js";
import type { Shapes } from "./shapes/infer-shapes.js";

export declare namespace emitBackwardPass {
  interface Options {
    readonly graph: GraphBuilder;
    readonly e: GradientEmitter;
    readonly active: ActivePart;
    readonly rules: Readonly<Record<string, GradientRule>>;
    readonly shapes: Shapes;
    readonly forwardShapes: ForwardShapes;
    readonly read: ReadForward;
    /** Gradients of the outputs. */
    readonly seeds: ReadonlyMap<string, string>;
    /** Inputs that the graph is differentiated by. */
    readonly inputs: readonly string[];
  }
}

/** Writes the gradients of the inputs; nothing for an input that no output depends on. */
export function emitBackwardPass(options: emitBackwardPass.Options): (input: string) => string | undefined {
  const { active, rules, seeds, inputs } = options;
  const gradients = gradientSums(options.e, seeds);
  const path = (node: GraphNode) => describePath(active.nodes, node, inputs, [...seeds.keys()]);
  for (const node of active.nodes.toReversed()) {
    if (!node.outputs.some((name) => gradients.has(name))) continue;
    const rule = Object.hasOwn(rules, operatorKey(node)) ? rules[operatorKey(node)] : undefined;
    const fail = (reason: string): never => {
      throw new AutodiffError(
        "no-gradient",
        `${nodeLabel(node)}: ${reason}; it lies on the path ${path(node)}`,
      );
    };
    if (rule === undefined) return fail(missingRule(node));
    emitNodeGradients(node, rule, gradients, options, fail);
  }
  return gradients.get;
}

const missingRule = (node: GraphNode): string =>
  node.operator === "If" || node.operator === "Loop" || node.operator === "Scan"
    ? `gradients do not go through ${node.operator}, whose branches are graphs; differentiate a graph without it`
    : `no gradient is known of operator ${operatorKey(node)}; give a rule for it`;

function emitNodeGradients(
  node: GraphNode,
  rule: GradientRule,
  gradients: GradientSums,
  options: emitBackwardPass.Options,
  fail: (reason: string) => never,
): void {
  const { types } = options.active;
  const emits = rule(differentiatedNode(node, gradients, options, fail));
  for (const [index, name] of node.inputs.entries()) {
    if (!types.has(name)) continue;
    const emit = emits[index] ?? fail(`no gradient is known of its input ${index}, ${JSON.stringify(name)}`);
    gradients.add(name, emit());
  }
}

function differentiatedNode(
  node: GraphNode,
  gradients: GradientSums,
  { e: root, active, shapes, forwardShapes: { shape }, read }: emitBackwardPass.Options,
  refuse: (reason: string) => never,
): DifferentiatedNode {
  const e = root.at(node.name === "" ? node.outputs[0]! : node.name);
  const type = active.types.get(node.inputs.find((name) => active.types.has(name))!)!;
  const input = (index: number) => node.inputs[index] ?? "";
  const output = (index = 0) => node.outputs[index] ?? "";
  const zeros = (value: string, valueType: FloatType) =>
    e.node("Expand", [e.scalar(0, valueType), shape(value).emit()]);
  const upstream = (index = 0) => {
    const name = output(index);
    return gradients.get(name) ?? zeros(name, active.types.get(name)!);
  };
  // Whichever output it is of: a gradient that is there by now.
  const near = () => gradients.get(node.outputs.find((name) => gradients.has(name))!)!;
  return {
    node,
    type,
    e,
    upstream,
    hasUpstream: (index) => gradients.has(output(index)),
    hasInput: (index) => input(index) !== "",
    input: (index) => read(input(index), near()),
    output: (index) => read(output(index), near()),
    inputDims: (index) => shapes.dims(input(index)),
    outputDims: (index) => shapes.dims(output(index)),
    inputInts: (index) => shapes.ints(input(index)),
    inputShape: (index) => shape(input(index)).emit(),
    outputShape: (index) => shape(output(index)).emit(),
    reduceTo: (gradient, index, ...from) =>
      reduceTo(e, gradient, from.length === 0 ? shapes.dims(output()) : from[0], shape(input(index))),
    zeros: (index) => zeros(input(index), type),
    refuse,
  };
}

/** Gradients of values, which are sums over all nodes that read a value. */
interface GradientSums {
  readonly has: (value: string) => boolean;
  readonly get: (value: string) => string | undefined;
  readonly add: (value: string, gradient: string) => void;
}

function gradientSums(e: GradientEmitter, seeds: ReadonlyMap<string, string>): GradientSums {
  const terms = new Map([...seeds].map(([value, seed]) => [value, [seed]]));
  return {
    has: (value) => terms.has(value),
    get(value) {
      const found = terms.get(value);
      if (found === undefined) return undefined;
      const sum = found.reduce((a, b) => e.add(a, b));
      terms.set(value, [sum]);
      return sum;
    },
    add: (value, gradient) => terms.set(value, [...(terms.get(value) ?? []), gradient]),
  };
}
