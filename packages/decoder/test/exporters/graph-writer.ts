import {
  createGraphBuilder,
  float32Value,
  type GraphBuilder,
  memoryWeights,
  type NodeOptions,
  tensorValue,
} from "@kvfold/onnx";
import type { ModelSource } from "@kvfold/runtime";
import { encodeFloats } from "@kvfold/safetensors";
import { type Linear, quantiseRows } from "../../src/index.js";
import { transposeFloats } from "../../src/model/transpose.js";

export const MICROSOFT = "com.microsoft";

/** A graph in memory, and its external data. */
export type Exported = Extract<ModelSource, { readonly bytes: Uint8Array }>;

/** How a graph holds its weights. */
export interface Precision {
  readonly floats: "float32" | "float16";
  readonly products: "float" | "q4";
}

/** Names of a matrix in four bits. */
interface Packed {
  readonly codes: string;
  readonly scales: string;
}

/** Writes graphs as exporters do: constants of their own names, weights in external data. */
export interface GraphWriter extends Precision {
  readonly graph: GraphBuilder;
  node(operator: string, inputs: readonly string[], options: NodeOptions): string;
  floatWeight(name: string, dims: readonly number[], data: Float32Array): string;
  /** A number, or a list of numbers. */
  number(name: string, value: number, type?: "float32"): string;
  int64(...values: number[]): string;
  scalarInt64(value: number): string;
  /** `x W + b`; MatMulNBits where weights are in four bits. */
  linear(name: string, input: string, linear: Linear): string;
  /** A matrix in four bits, `[outputs, blocks, 16]`, and its scales. */
  packed(path: string, linear: Linear): Packed;
  packedProduct(path: string, input: string, linear: Linear, packed: Packed): string;
  finish(): Exported;
}

export function graphWriter(name: string, precision: Precision): GraphWriter {
  const weights = memoryWeights();
  const graph = createGraphBuilder({ graphName: name, opsets: { "": 18, [MICROSOFT]: 1 }, weights });
  const { floats } = precision;
  const floatWeight: GraphWriter["floatWeight"] = (weight, dims, data) =>
    graph.weight(
      weight,
      floats === "float32"
        ? float32Value(dims, data)
        : tensorValue("float16", dims, encodeFloats(data, "F16", { tensor: weight })),
    );
  const node: GraphWriter["node"] = (operator, inputs, options) => graph.node(operator, inputs, options);
  const writer: GraphWriter = {
    ...precision,
    graph,
    node,
    floatWeight,
    number: (constant, value, type) =>
      type === "float32"
        ? graph.constant(constant, float32Value([], Float32Array.of(value)))
        : scalar(constant, value),
    int64: (...values) => graph.int64(values),
    scalarInt64: (value) => graph.int64([value], []),
    linear(path, input, linear) {
      const product =
        precision.products === "q4"
          ? writer.packedProduct(path, input, linear, writer.packed(path, linear))
          : floatProduct(path, input, linear);
      if (linear.bias === undefined) return product;
      const bias = floatWeight(`${path}.bias`, [linear.outputs], linear.bias);
      return node("Add", [product, bias], { name: `${path}/Add` });
    },
    packed(path, { inputs, outputs, weight }) {
      const { blocks, codes, scales } = quantiseRows(
        transposeFloats(weight, inputs, outputs),
        outputs,
        inputs,
      );
      return {
        codes: graph.weight(`${path}.weight_Q4`, tensorValue("uint8", [outputs, blocks, 16], codes)),
        scales: floatWeight(`${path}.weight_scales`, [outputs, blocks], scales),
      };
    },
    packedProduct: (path, input, { inputs, outputs }, { codes, scales }) =>
      node("MatMulNBits", [input, codes, scales], {
        name: `${path}/MatMul_Q4`,
        domain: MICROSOFT,
        attributes: { K: inputs, N: outputs, bits: 4, block_size: 32, accuracy_level: 0 },
      }),
    finish: () => ({ bytes: graph.toBytes(), externalData: weights.externalData }),
  };
  const scalar = (constant: string, value: number): string => {
    const data = Float32Array.of(value);
    const bytes = encodeFloats(data, floats === "float32" ? "F32" : "F16", { tensor: constant });
    return graph.constant(constant, tensorValue(floats, [], bytes));
  };
  const floatProduct: GraphWriter["linear"] = (path, input, { inputs, outputs, weight }) =>
    node("MatMul", [input, floatWeight(`${path}.weight`, [inputs, outputs], weight)], {
      name: `${path}/MatMul`,
    });
  return writer;
}
