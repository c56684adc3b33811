import { type DataType, extendModel, type GraphBuilder } from "@kvfold/onnx";
import { emitBackwardPass } from "./backward-pass.js";
import { forwardShapes } from "./forward-shapes.js";
import { createEmitter, type GradientEmitter } from "./gradient-emitter.js";
import { keptValues, type ReadForward, recomputedValues } from "./recomputed-values.js";
import type { FloatValue, GradientRequest } from "./request.js";
import { declaredDims } from "./shapes/infer-shapes.js";

/** A graph with its gradients, as its parts are needed to take it apart again. */
export interface JointGraph {
  readonly graph: GraphBuilder;
  /** Outputs `grad.<input>`. */
  readonly gradients: readonly FloatValue[];
  /** Values of type int64 that hold shapes of forward values, and which. */
  readonly shapes: ReadonlyMap<string, string>;
}

/** Adds the gradients that are asked for to a model, by names of their own. */
export function emitGradients(
  model: Uint8Array,
  request: GradientRequest,
  reader: (graph: GraphBuilder, e: GradientEmitter, root: string) => ReadForward,
): JointGraph {
  const { opset, inputs, shapes, active, rules, prefix } = request;
  const graph = extendModel(model);
  const root = freeRoot(request);
  const e = createEmitter(graph, root, opset);
  const forward = forwardShapes(graph, e, root, shapes);
  const gradientOf = emitBackwardPass({
    graph,
    e,
    active,
    rules,
    shapes,
    forwardShapes: forward,
    read: reader(graph, e, root),
    seeds: new Map(request.outputs.map((output) => [output.name, emitSeed(graph, e, output, request)])),
    inputs: inputs.map(({ name }) => name),
  });
  const gradients = inputs.map((input): FloatValue => {
    const name = `${prefix}${input.name}`;
    const zeros = () => e.node("Expand", [e.scalar(0, input.type), forward.shape(input.name).emit()]);
    const gradient = gradientOf(input.name) ?? zeros();
    graph.nodeWithOutputs("Identity", [gradient], [name], { name: `${root}/output/${input.name}` });
    graph.output(name, input.type, input.dims);
    return { ...input, name };
  });
  return { graph, gradients, shapes: forward.emitted };
}

/** The gradient of an output: an input of the graph, or 1. */
function emitSeed(
  graph: GraphBuilder,
  e: GradientEmitter,
  { name, type, dims }: FloatValue,
  { upstream, prefix }: GradientRequest,
): string {
  if (upstream.has(name)) return graph.input(`${prefix}${name}`, type, dims);
  const rank = declaredDims(dims)!.length;
  return e.node("Expand", [e.scalar(1, type), e.ints(Array<number>(rank).fill(1))]);
}

/** A name that no value of the graph begins with: a graph may have been differentiated before. */
function freeRoot({ view }: GradientRequest): string {
  const names = view.nodes.flatMap(({ name, outputs }) => [name, ...outputs]);
  const taken = (root: string) => names.some((name) => name.startsWith(`${root}/`));
  let root = "gradient";
  for (let count = 2; taken(root); count++) root = `gradient${count}`;
  return root;
}

/** Keeps all values, or computes again what is not named in `kept`. */
export const forwardReader =
  ({ view, kept, active }: GradientRequest) =>
  (graph: GraphBuilder, e: GradientEmitter, root: string): ReadForward => {
    if (kept === undefined) return keptValues;
    const declared = view.inputs.flatMap(({ name, type }) =>
      type === undefined ? [] : [[name, type] as const],
    );
    const types = new Map<string, DataType>([...declared, ...active.types]);
    return recomputedValues({ graph, view, e, root, kept, types });
  };
