import {
  type AttributeValue,
  dataTypeCode,
  float32Value,
  type GraphBuilder,
  type TensorValue,
  tensorValue,
} from "@kvfold/onnx";
import type { FloatType } from "./float-type.js";

/** Writes the nodes of gradients. Values are named by strings, as in ONNX. */
export interface GradientEmitter {
  /** The version of the default operator set. */
  readonly opset: number;
  /** Adds a node with one output; an operator's domain goes before it (`com.microsoft:Gelu`). */
  node(operator: string, inputs: readonly string[], attributes?: Attributes): string;
  /** Adds a node with several outputs. */
  nodeWithOutputs(
    operator: string,
    inputs: readonly string[],
    count: number,
    attributes?: Attributes,
  ): readonly string[];
  add(a: string, b: string): string;
  sub(a: string, b: string): string;
  mul(a: string, b: string): string;
  div(a: string, b: string): string;
  neg(x: string): string;
  /** A number as a constant. */
  scalar(value: number, type: FloatType): string;
  /** An int64 constant, a vector by default. */
  ints(values: readonly number[], dims?: readonly number[]): string;
  /** `x` times a number. */
  scale(x: string, factor: number, type: FloatType): string;
  /** Sums over axes, which stay with size 1. */
  sum(x: string, axes: readonly number[]): string;
  /** Means over axes, which stay with size 1. */
  mean(x: string, axes: readonly number[]): string;
  /** `x` in the shape that an int64 vector says. */
  reshape(x: string, shape: string): string;
  cast(x: string, type: FloatType | "int64"): string;
  /** The same emitter for the gradient of another node, which its names show. */
  at(label: string): GradientEmitter;
}

type Attributes = Readonly<Record<string, AttributeValue>>;

/** Writes into `graph`, all names below `root`. */
export function createEmitter(graph: GraphBuilder, root: string, opset: number): GradientEmitter {
  let count = 0;
  const at = (label: string): GradientEmitter => {
    const nodeWithOutputs: GradientEmitter["nodeWithOutputs"] = (key, inputs, outputs, attributes = {}) => {
      const [operator, domain = ""] = key.split(":").toReversed() as [string, string?];
      const name = `${root}/${label}/${operator}_${count++}`;
      const names = Array.from({ length: outputs }, (_, index) => `${name}/output_${index}`);
      return graph.nodeWithOutputs(operator, inputs, names, { name, domain, attributes });
    };
    const node: GradientEmitter["node"] = (operator, inputs, attributes) =>
      nodeWithOutputs(operator, inputs, 1, attributes)[0]!;
    const binary = (operator: string) => (a: string, b: string) => node(operator, [a, b]);
    const cast: GradientEmitter["cast"] = (x, type) => node("Cast", [x], { to: dataTypeCode(type) });
    const scalar: GradientEmitter["scalar"] = (value, type) => {
      // Float16 is cast from float32: ONNX Runtime does it once, when it loads the graph.
      const name = graph.constant(
        `${root}/constants/${type === "float64" ? type : "float32"}/${value}`,
        number(value, type),
      );
      return type === "float16" ? cast(name, type) : name;
    };
    const mean: GradientEmitter["mean"] = (x, axes) =>
      opset >= 18
        ? node("ReduceMean", [x, graph.int64(axes)], { keepdims: 1 })
        : node("ReduceMean", [x], { axes, keepdims: 1 });
    return {
      opset,
      node,
      nodeWithOutputs,
      add: binary("Add"),
      sub: binary("Sub"),
      mul: binary("Mul"),
      div: binary("Div"),
      neg: (x) => node("Neg", [x]),
      scalar,
      ints: (values, dims) => graph.int64(values, dims),
      scale: (x, factor, type) => (factor === 1 ? x : node("Mul", [x, scalar(factor, type)])),
      sum: (x, axes) => node("ReduceSum", [x, graph.int64(axes)], { keepdims: 1 }),
      mean,
      // Without allowzero a size of 0 would mean "as before".
      reshape: (x, shape) => node("Reshape", [x, shape], { allowzero: 1 }),
      cast,
      at,
    };
  };
  return at("sum");
}

const number = (value: number, type: FloatType): TensorValue =>
  type === "float64"
    ? tensorValue(type, [], new Uint8Array(Float64Array.of(value).buffer))
    : float32Value([], Float32Array.of(value));
