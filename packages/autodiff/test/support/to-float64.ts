import {
  type AttributeValue,
  createGraphBuilder,
  dataTypeCode,
  type GraphBuilder,
  type GraphNode,
  type GraphView,
  readModel,
  tensorValue,
} from "@kvfold/onnx";
import { emitErf, scalar } from "./definitions.js";

/** A model and its external data, in memory. */
export interface MemoryModel {
  readonly bytes: Uint8Array;
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/**
 * A float32 model in float64, with the operators that ONNX Runtime has in float32 alone written out by their definition.
 * Inputs, outputs and initializers keep their names; initializers become inputs where `asInputs` names them.
 */
export function toFloat64(model: MemoryModel, asInputs: readonly string[] = []): Uint8Array {
  const view = readModel(model.bytes);
  const graph = createGraphBuilder({ graphName: "float64", opsets: view.opsets });
  for (const { name, type, dims } of view.inputs)
    graph.input(name, type === "float32" ? "float64" : type!, dims);
  for (const { name, type, dims } of view.initializers.values()) {
    const data = initializerBytes(model, view, name);
    if (type !== "float32") graph.weight(name, tensorValue(type!, dims, data));
    else if (asInputs.includes(name)) graph.input(name, "float64", dims);
    else graph.weight(name, tensorValue("float64", dims, widened(data)));
  }
  for (const node of view.nodes) emitWide(graph, node);
  for (const { name, dims } of view.outputs) graph.output(name, "float64", dims);
  return graph.toBytes();
}

/** The bytes of an initializer, wherever they are. */
export function initializerBytes({ externalData }: MemoryModel, view: GraphView, name: string): Uint8Array {
  const { value, location } = view.initializers.get(name)!;
  if (value !== undefined) return value.bytes;
  const data = externalData.find(({ path }) => path === location!.path)!.data;
  return data.subarray(location!.offset, location!.offset + location!.byteLength);
}

/** The numbers of float32 bytes. */
export const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer);

const widened = (bytes: Uint8Array): Uint8Array => new Uint8Array(Float64Array.from(floatsOf(bytes)).buffer);

function emitWide(graph: GraphBuilder, node: GraphNode): void {
  const define = definitions[node.operator];
  if (define === undefined) {
    const attributes = Object.fromEntries(
      Object.entries(node.attributes).map(([name, value]) => [name, widenedAttribute(value, name)]),
    );
    graph.nodeWithOutputs(node.operator, node.inputs, node.outputs, { ...node, attributes });
    return;
  }
  graph.nodeWithOutputs("Identity", [define(graph, node)], [node.outputs[0]!], { name: node.name });
}

const widenedAttribute = (value: AttributeValue, name: string): AttributeValue =>
  name === "to" && value === dataTypeCode("float32") ? dataTypeCode("float64") : value;

type Define = (graph: GraphBuilder, node: GraphNode) => string;

/** Prefixes the names of a definition's nodes. */
const below = (graph: GraphBuilder, { name }: GraphNode): GraphBuilder => ({
  ...graph,
  node: (operator, inputs, options) =>
    graph.node(operator, inputs, { ...options, name: `${name}/${options.name}` }),
});

const definitions: Readonly<Record<string, Define>> = {
  RotaryEmbedding: defineRotation,
  FastGelu: (root, node) => {
    const graph = below(root, node);
    const x = node.inputs[0]!;
    const mul = (name: string, a: string, b: string) => graph.node("Mul", [a, b], { name });
    const number = (value: number) => scalar(root, value, "float64");
    const bent = mul("bent", mul("cube", mul("square", x, x), x), number(0.044715));
    const inner = graph.node("Add", [x, bent], { name: "inner" });
    const tanh = graph.node("Tanh", [mul("scaled", inner, number(Math.sqrt(2 / Math.PI)))], { name: "tanh" });
    const share = graph.node("Add", [tanh, number(1)], { name: "share" });
    return mul("gelu", x, mul("half", share, number(0.5)));
  },
  Gelu: (root, node) => {
    const graph = below(root, node);
    const x = node.inputs[0]!;
    const number = (value: number) => scalar(root, value, "float64");
    const scaled = graph.node("Mul", [x, number(Math.SQRT1_2)], { name: "scaled" });
    // Where the series is good; beyond, the error function is 1 up to 2e-8.
    const near = graph.node("Clip", [scaled, number(-4), number(4)], { name: "near" });
    const share = graph.node("Add", [emitErf(graph, near, "float64"), number(1)], { name: "share" });
    const half = graph.node("Mul", [share, number(0.5)], { name: "half" });
    return graph.node("Mul", [x, half], { name: "gelu" });
  },
};

/** Rows `[B, S, heads * d]`, the halves of the first `2 r` numbers of each head turned by tables `[positions, r]`. */
function defineRotation(root: GraphBuilder, node: GraphNode): string {
  const graph = below(root, node);
  const [x, ids, cos, sin] = node.inputs as [string, string, string, string];
  const heads = node.attributes.num_heads as number | undefined;
  const name = (step: string, attributes = {}) => ({ name: step, attributes });
  const rank = graph.node("Shape", [cos], name("tables", { start: 1, end: 2 }));
  const twice = graph.node("Add", [rank, rank], name("twice"));
  const ints = (values: readonly number[]) => root.int64(values);
  const shape =
    heads === undefined
      ? graph.node("Concat", [ints([0, 0, -1]), twice], name("shape", { axis: 0 }))
      : ints([0, 0, heads, -1]);
  const split = graph.node("Reshape", [x, shape], name("split"));
  const rows = (step: string, value: string) =>
    graph.node(
      "Unsqueeze",
      [graph.node("Gather", [value, ids], name(`${step}/rows`)), ints([2])],
      name(step),
    );
  const [c, s] = [rows("cos", cos), rows("sin", sin)];
  const cut = (step: string, start: string, end: string) =>
    graph.node("Slice", [split, start, end, ints([3])], name(step));
  const [a, b] = [cut("a", ints([0]), rank), cut("b", rank, twice)];
  const mul = (step: string, left: string, right: string) => graph.node("Mul", [left, right], name(step));
  const first = graph.node("Sub", [mul("ac", a, c), mul("bs", b, s)], name("first"));
  const second = graph.node("Add", [mul("bc", b, c), mul("as", a, s)], name("second"));
  const rest = cut("rest", twice, ints([2 ** 31]));
  const joined = graph.node("Concat", [first, second, rest], name("joined", { axis: 3 }));
  return graph.node("Reshape", [joined, ints([0, 0, -1])], name("rows"));
}
