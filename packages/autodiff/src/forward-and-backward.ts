import { type DataType, extendModel, extractModel, readModel, type ValueDims } from "@kvfold/onnx";
import { emitGradients, type JointGraph } from "./emit-gradients.js";
import { keptValues } from "./recomputed-values.js";
import { type GradientOptions, type GradientRequest, readRequest } from "./request.js";
import { valueDims } from "./shapes/dims.js";

/** A graph and its gradients, as two models. */
export interface ForwardAndBackward {
  /** The graph, which also gives the values that are kept. */
  readonly forward: Uint8Array;
  /**
   * Takes the values that are kept, those inputs of the graph that it reads, and `grad.<output>`; gives `grad.<input>`. It
   * has the initializers that it reads.
   */
  readonly backward: Uint8Array;
  /** Values that `forward` gives and `backward` takes, by the same names: floats, and shapes of values as int64. */
  readonly kept: readonly string[];
}

export declare namespace forwardAndBackward {
  type Options = GradientOptions;
}

/**
 * Reverse-mode differentiation in two graphs, so that a caller decides when the gradients are computed and where the values
 * between are kept. Names, shapes, types and errors are those of `differentiate`.
 *
 * Without `kept`, these are the forward values that gradients read. With it, they are at most those named (what gradients
 * do not need is left out), and shapes that are known at run time only. Values that do not depend on the inputs asked for
 * are computed again.
 *
 * @throws {AutodiffError} as `differentiate` does.
 * @throws {OnnxError} `malformed-model` when the bytes are not an ONNX model.
 * @example
 * ```ts
 * import { forwardAndBackward } from "@kvfold/autodiff";
 * import { createGraphBuilder, readModel } from "@kvfold/onnx";
 *
 * const graph = createGraphBuilder({ graphName: "one", opsets: { "": 18 } });
 * graph.nodeWithOutputs("Exp", [graph.input("x", "float32", [2])], ["y"], { name: "exp" });
 * graph.output("y", "float32", [2]);
 * const { backward, kept } = forwardAndBackward(graph.toBytes(), { outputs: ["y"], inputs: ["x"] });
 * kept; // => ["y"]
 * readModel(backward).inputs.map(({ name }) => name); // => ["grad.y", "y"]
 * ```
 */
export function forwardAndBackward(
  model: Uint8Array,
  options: forwardAndBackward.Options,
): ForwardAndBackward {
  const request = readRequest("forwardAndBackward", model, options);
  const joint = emitGradients(model, request, () => keptValues);
  const bytes = joint.graph.toBytes();
  const cuts = cutValues(joint, request);
  const backward = extractModel(bytes, { inputs: cuts, outputs: joint.gradients });
  const taken = new Set(readModel(backward).inputs.map(({ name }) => name));
  const kept = cuts.filter(({ name }) => taken.has(name));
  return {
    forward: forwardGraph(model, joint, request, kept),
    backward,
    kept: kept.map(({ name }) => name),
  };
}

interface CutValue {
  readonly name: string;
  readonly type: DataType;
  readonly dims: ValueDims;
}

/** Where the backward graph may begin. What does not depend on the inputs is computed again, from small things mostly. */
function cutValues(
  { shapes }: JointGraph,
  { view, active, kept, ...request }: GradientRequest,
): readonly CutValue[] {
  const given = new Set([...view.inputs.map(({ name }) => name), ...view.initializers.keys()]);
  const values = [...active.types]
    .filter(([name]) => !given.has(name) && (kept?.includes(name) ?? true))
    .map(([name, type]) => ({ name, type, dims: valueDims(request.shapes.dims(name)) }));
  const vectors = [...shapes.keys()].map((name): CutValue => ({ name, type: "int64", dims: ["?"] }));
  return [...values, ...vectors];
}

function forwardGraph(
  model: Uint8Array,
  { shapes }: JointGraph,
  { view }: GradientRequest,
  kept: readonly CutValue[],
): Uint8Array {
  const graph = extendModel(model);
  const outputs = new Set(view.outputs.map(({ name }) => name));
  for (const { name, type, dims } of kept) {
    const shaped = shapes.get(name);
    if (shaped !== undefined) graph.nodeWithOutputs("Shape", [shaped], [name], { name });
    if (!outputs.has(name)) graph.output(name, type, dims);
  }
  return graph.toBytes();
}
