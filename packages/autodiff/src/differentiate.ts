import { emitGradients, forwardReader } from "./emit-gradients.js";
import { type GradientOptions, readRequest } from "./request.js";

export declare namespace differentiate {
  type Options = GradientOptions;
}

/**
 * Reverse-mode differentiation: a graph that also computes the gradients of its outputs by its inputs, or by initializers.
 *
 * The graph that is returned keeps all that `model` has. Further inputs `grad.<output>` have the shape and type of that
 * output: the vector of the vector-Jacobian product. An output that is declared as a single number needs none, its
 * gradient is 1. Further outputs `grad.<input>` have the shape and type of that input; zeros where no output depends
 * on it. External data stays where it is: give the session the same files.
 *
 * *Numerics*: gradients have the type of the values they belong to, and are as exact as that type: about 1e-7 of the
 * largest term for float32. Where a function has a corner (Relu at 0, Max of equal numbers) the gradient is one of those
 * on its sides or between; where its slope is infinite (Sqrt at 0) so is the gradient.
 *
 * @param model - Bytes of an ONNX model of operator set 16 to 23.
 * @throws {AutodiffError} `no-gradient` for an operator on the way that has no rule, named with its node and the path;
 *   `invalid-request` for names that the graph lacks or values that are no floats; `unsupported-opset`.
 * @throws {OnnxError} `malformed-model` when the bytes are not an ONNX model.
 * @example
 * ```ts
 * import { differentiate } from "@kvfold/autodiff";
 * import { createGraphBuilder, readModel } from "@kvfold/onnx";
 *
 * const graph = createGraphBuilder({ graphName: "square", opsets: { "": 18 } });
 * const x = graph.input("x", "float32", ["n"]);
 * graph.nodeWithOutputs("Mul", [x, x], ["y"], { name: "square" });
 * graph.output("y", "float32", ["n"]);
 * const model = readModel(differentiate(graph.toBytes(), { outputs: ["y"], inputs: ["x"] }));
 * model.inputs.map(({ name }) => name); // => ["x", "grad.y"]
 * model.outputs.map(({ name }) => name); // => ["y", "grad.x"]
 * ```
 */
export function differentiate(model: Uint8Array, options: differentiate.Options): Uint8Array {
  const request = readRequest("differentiate", model, options);
  return emitGradients(model, request, forwardReader(request)).graph.toBytes();
}
