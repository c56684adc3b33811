import type { AttributeValue, DataType, GraphScope, TensorStream } from "@kvfold/onnx";
import { dataTypeCode, float32Value, type TensorValue, tensorValue } from "@kvfold/onnx";
import { encodeFloats, encodeHalvesInto } from "@kvfold/safetensors";
import type { FillRows, PieceType } from "../model/stored-pieces.js";
import { once } from "./memoise.js";

/** Element type of a graph's weights, hidden states and KV cache. */
export type FloatType = "float32" | "float16";

/** How the weights of linear projections are stored: in the graph's float type, or in blocks of four bits. */
export type ProjectionFormat = "float" | "q4";

/** Domain of ONNX Runtime's own operators. */
export const MICROSOFT = "com.microsoft";

/** Operator sets of every kvfold graph; ONNX Runtime 1.21 knows them all. */
export const OPSETS: Readonly<Record<string, number>> = { "": 18, [MICROSOFT]: 1 };

/** Writes nodes under a path (`model/layers.0/attn`) and weights under the same path with dots. */
export interface Emitter {
  readonly graph: GraphScope;
  readonly floatType: FloatType;
  readonly projections: ProjectionFormat;
  /** Where this emitter writes, e.g. `/model/layers.0/attn`. */
  readonly path: string;
  /** An emitter for a part of the model below this one. */
  at(path: string): Emitter;
  /** An emitter under the same path that writes into a branch of its graph. */
  into(branch: GraphScope): Emitter;
  /** A node named `<path>/<name>` with one output. */
  node(operator: string, name: string, inputs: readonly string[], options?: Emitter.Options): string;
  /** An initializer `<path>.<name>`, made only where no other graph has stored it. */
  weight(name: string, make: () => TensorValue): string;
  /**
   * A float initializer `<path>.<name>` in the graph's float type. A function is called only where no other graph has
   * stored the tensor.
   *
   * @throws {SafetensorsError} `overflow` for a value that float16 cannot hold, naming the tensor without its operator.
   */
  floats(name: string, dims: readonly number[], data: Float32Array | (() => Float32Array)): string;
  /** A float initializer `<path>.<name>` in the graph's float type, which `open` makes when it is written. */
  stored(name: string, dims: readonly number[], open: (piece: PieceType) => FillRows): string;
  /** A float32 initializer, whatever the graph's float type. */
  float32s(name: string, dims: readonly number[], data: Float32Array): string;
  /** A float constant in the graph's float type (or in `type`), shared between its uses. */
  scalar(value: number, type?: FloatType): string;
  reshape(name: string, value: string, dims: readonly number[]): string;
  cast(name: string, value: string, type: DataType): string;
  transpose(name: string, value: string, order: readonly number[]): string;
}

export declare namespace Emitter {
  interface Options {
    readonly domain?: string;
    readonly attributes?: Readonly<Record<string, AttributeValue>>;
  }
}

export declare namespace createEmitter {
  interface Options {
    readonly floatType: FloatType;
    readonly projections?: ProjectionFormat;
    /** The root by default. */
    readonly path?: string;
  }
}

/** An emitter that writes to `graph`. */
export function createEmitter(graph: GraphScope, options: createEmitter.Options): Emitter {
  const { floatType, projections = "float", path = "" } = options;
  const inside = (name: string) => `${path}/${name}`;
  const node: Emitter["node"] = (operator, name, inputs, options = {}) =>
    graph.node(operator, inputs, { name: inside(name), ...options });
  const tensorName = (name: string) => inside(name).slice(1).replaceAll("/", ".");
  /** As checkpoints name it: `up_proj.weight`, not `up_proj.MatMul.weight`. */
  const storedName = (name: string) => tensorName(name).replace(/\.(MatMul|Add)\./, ".");
  const weight: Emitter["weight"] = (name, make) => graph.weight(tensorName(name), make);
  const floats =
    (type: FloatType): Emitter["floats"] =>
    (name, dims, data) => {
      const tensor = storedName(name);
      const numbers = once(() => (typeof data === "function" ? data() : data));
      const whole = () => floatValue(tensor, type, dims, numbers());
      if (type === "float32") return weight(name, whole);
      return graph.streamedWeight(tensorName(name), halfStream(tensor, dims, numbers), whole);
    };
  return {
    graph,
    floatType,
    projections,
    path,
    node,
    weight,
    into: (branch) => createEmitter(branch, options),
    at: (part) => createEmitter(graph, { ...options, path: inside(part) }),
    floats: floats(floatType),
    stored(name, dims, open) {
      const fill = open({ type: floatType, tensor: storedName(name) });
      return graph.streamedWeight(tensorName(name), { type: floatType, dims, fill }, unstreamed);
    },
    float32s: floats("float32"),
    scalar: (value, type = floatType) => {
      const name = `constants/${type}/${value}`;
      return graph.constant(name, floatValue(name, type, [], Float32Array.of(value)));
    },
    reshape: (name, value, dims) => node("Reshape", name, [value, graph.int64(dims)]),
    cast: (name, value, type) => node("Cast", name, [value], { attributes: { to: dataTypeCode(type) } }),
    transpose: (name, value, order) => node("Transpose", name, [value], { attributes: { perm: order } }),
  };
}

/** Float32 numbers are not copied: the tables of a vocabulary are as large as some models. */
const floatValue = (
  tensor: string,
  type: FloatType,
  dims: readonly number[],
  data: Float32Array,
): TensorValue =>
  type === "float32"
    ? float32Value(dims, data)
    : tensorValue(type, dims, encodeFloats(data, "F16", { tensor }));

/** Float16 numbers that are encoded a piece at a time. */
function halfStream(tensor: string, dims: readonly number[], numbers: () => Float32Array): TensorStream {
  const rowSize = dims.at(-1) ?? 1;
  return {
    type: "float16",
    dims,
    fill(target, start) {
      const data = numbers();
      const first = start * rowSize;
      const halves = new Uint16Array(target.buffer, target.byteOffset, target.byteLength / 2);
      if (encodeHalvesInto(data.subarray(first, first + halves.length), halves)) return;
      // It names the number among all of them.
      encodeFloats(data, "F16", { tensor });
    },
  };
}

/** Weights that are still stored go to writers of files alone. */
const unstreamed = (): never => {
  throw new Error("weights that are still in their checkpoint need a store that streams");
};
