import type { AttributeValue, GraphBuilder } from "@kvfold/onnx";
import { tensorValue } from "@kvfold/onnx";
import { encodeFloats } from "@kvfold/safetensors";

/** Element type of a graph's weights, hidden states and KV cache. */
export type FloatType = "float32" | "float16";

/** Domain of ONNX Runtime's own operators. */
export const MICROSOFT = "com.microsoft";

/** Operator sets of every kvfold graph; ONNX Runtime 1.21 knows them all. */
export const OPSETS: Readonly<Record<string, number>> = { "": 18, [MICROSOFT]: 1 };

/** Writes nodes under a path (`model/layers.0/attn`) and weights under the same path with dots. */
export interface Emitter {
  readonly graph: GraphBuilder;
  readonly floatType: FloatType;
  /** Where this emitter writes, e.g. `/model/layers.0/attn`. */
  readonly path: string;
  /** An emitter for a part of the model below this one. */
  at(path: string): Emitter;
  /** A node named `<path>/<name>` with one output. */
  node(operator: string, name: string, inputs: readonly string[], options?: Emitter.Options): string;
  /** A float initializer `<path>.<name>` in the graph's float type. */
  floats(name: string, dims: readonly number[], data: Float32Array): string;
  /** A float constant in the graph's float type (or in `type`), shared between its uses. */
  scalar(value: number, type?: FloatType): string;
  reshape(name: string, value: string, dims: readonly number[]): string;
  transpose(name: string, value: string, order: readonly number[]): string;
}

export declare namespace Emitter {
  interface Options {
    readonly domain?: string;
    readonly attributes?: Readonly<Record<string, AttributeValue>>;
  }
}

/** An emitter at the root of `graph`. */
export function createEmitter(graph: GraphBuilder, floatType: FloatType, path = ""): Emitter {
  const inside = (name: string) => `${path}/${name}`;
  const node: Emitter["node"] = (operator, name, inputs, options = {}) =>
    graph.node(operator, inputs, { name: inside(name), ...options });
  return {
    graph,
    floatType,
    path,
    node,
    at: (part) => createEmitter(graph, floatType, inside(part)),
    floats: (name, dims, data) =>
      graph.weight(
        inside(name).slice(1).replaceAll("/", "."),
        tensorValue(floatType, dims, encode(data, floatType)),
      ),
    scalar: (value, type = floatType) =>
      graph.constant(
        `constants/${type}/${value}`,
        tensorValue(type, [], encode(Float32Array.of(value), type)),
      ),
    reshape: (name, value, dims) => node("Reshape", name, [value, graph.int64(dims)]),
    transpose: (name, value, order) => node("Transpose", name, [value], { attributes: { perm: order } }),
  };
}

const encode = (data: Float32Array, type: FloatType): Uint8Array =>
  encodeFloats(data, type === "float16" ? "F16" : "F32");
