import type { GraphNode, GraphView, TensorValue, ValueDims } from "@kvfold/onnx";
import { intAttribute, intsAttribute, tensorAttribute } from "../attributes.js";
import type { Dim, Dims } from "./dims.js";
import { shapeRange, shapesOf } from "./shape-rules.js";

/** What is known of the values of a graph before it runs. */
export interface Shapes {
  readonly dims: (value: string) => Dims;
  /** The numbers of an int64 vector or scalar, as far as they are known. */
  readonly ints: (value: string) => readonly Dim[] | undefined;
}

/**
 * Finds out the dimensions of a graph's values as far as they follow from those of its inputs. Whoever uses them works
 * without them, too, by asking at run time.
 */
export function inferShapes({ nodes, inputs, initializers }: GraphView): Shapes {
  const dims = new Map<string, Dims>();
  const ints = new Map<string, readonly Dim[] | undefined>();
  for (const { name, dims: declared } of inputs) dims.set(name, declaredDims(declared));
  for (const { name, dims: sizes, value } of initializers.values()) {
    dims.set(name, sizes);
    ints.set(name, value && tensorInts(value));
  }
  for (const node of nodes) {
    const context = {
      node,
      dims: (input: number) => dims.get(node.inputs[input] ?? ""),
      ints: (input: number) => ints.get(node.inputs[input] ?? ""),
    };
    const found = shapesOf(context);
    for (const [index, name] of node.outputs.entries()) dims.set(name, found[index]);
    ints.set(node.outputs[0]!, intsOf(context));
  }
  return { dims: (value) => dims.get(value), ints: (value) => ints.get(value) };
}

/** Dimensions as a graph declares them, `"?"` for unknown ones. */
export const declaredDims = (dims: ValueDims): Dims => dims?.map((dim) => (dim === "?" ? undefined : dim));

/** Shapes are short: longer lists of numbers are data. */
const MAX_INTS = 32;

function tensorInts({ type, dims, bytes }: TensorValue): readonly number[] | undefined {
  if (type !== "int64" || dims.length > 1 || bytes.byteLength > 8 * MAX_INTS) return undefined;
  const copy = Uint8Array.from(bytes);
  return [...new BigInt64Array(copy.buffer)].map(Number);
}

interface IntsNode {
  readonly node: GraphNode;
  readonly dims: (input: number) => Dims;
  readonly ints: (input: number) => readonly Dim[] | undefined;
}

/** The numbers that a node of shape arithmetic gives. */
function intsOf({ node, dims, ints }: IntsNode): readonly Dim[] | undefined {
  switch (node.operator) {
    case "Constant":
      return constantInts(node);
    case "Shape": {
      const { start, end } = shapeRange(node);
      return dims(0)?.slice(start, end);
    }
    case "Identity":
    case "Unsqueeze":
    case "Squeeze":
      return ints(0);
    case "Concat": {
      const parts = node.inputs.map((_, index) => ints(index) ?? unknownInts(dims(index)));
      return parts.some((part) => part === undefined) ? undefined : (parts as (readonly Dim[])[]).flat();
    }
    case "Gather": {
      const [from, at] = [ints(0), ints(1)];
      return from && at?.map((index) => (typeof index === "number" ? from.at(index) : undefined));
    }
    case "Slice":
      return slicedInts(ints);
    default:
      return undefined;
  }
}

/** As many unknown numbers as a vector has; nothing for one of unknown length. */
const unknownInts = (dims: Dims): readonly Dim[] | undefined =>
  typeof dims?.[0] === "number" ? Array<Dim>(dims[0]).fill(undefined) : undefined;

function constantInts(node: GraphNode): readonly number[] | undefined {
  const tensor = tensorAttribute(node, "value");
  if (tensor !== undefined) return tensorInts(tensor);
  const one = intAttribute(node, "value_int", Number.NaN);
  return Number.isNaN(one) ? intsAttribute(node, "value_ints") : [one];
}

function slicedInts(ints: IntsNode["ints"]): readonly Dim[] | undefined {
  const [from, start, end, , step] = [0, 1, 2, 3, 4].map(ints);
  const numbers = [start?.[0], end?.[0]];
  if ((step?.[0] ?? 1) !== 1 || !numbers.every((number) => typeof number === "number")) return undefined;
  return from?.slice(...(numbers as [number, number]));
}
