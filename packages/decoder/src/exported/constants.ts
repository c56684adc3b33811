import type { AttributeValue, DataType, GraphNode, TensorValue } from "@kvfold/onnx";
import { decodeFloats } from "@kvfold/safetensors";
import type { GraphFile } from "../checkpoint/graph-file.js";
import { transposeFloats } from "../model/transpose.js";
import type { SmallTensors } from "./small-tensors.js";
import type { Term } from "./term.js";

/** Numbers of a graph that do not depend on its inputs. */
export interface Constant {
  /** The initializer or constant that they come from: the same for two uses of one tensor. */
  readonly origin: string;
  readonly type: DataType | undefined;
  readonly dims: readonly number[];
  /** The numbers, where they are few. */
  readonly small: readonly number[] | undefined;
  /** All numbers, row-major; integers as floats. */
  read(): Promise<Float32Array>;
  /** The bytes of a tensor as it is stored. */
  bytes(): Promise<Uint8Array>;
}

/** How many numbers a constant has. */
export const sizeOf = ({ dims }: Pick<Constant, "dims">): number => dims.reduce((size, dim) => size * dim, 1);

/** Finds constants: tensors, and what a few operators make of them. */
export function constantsOf(
  file: GraphFile,
  small: SmallTensors,
  term: (value: string) => Term,
): (value: string) => Constant | undefined {
  const known = new Map<string, Constant | undefined>();
  const constant = (value: string): Constant | undefined => {
    if (value === "") return undefined;
    const { value: name, node } = term(value);
    if (!known.has(name))
      known.set(name, node === undefined ? stored(file, small, name) : computed(node, constant));
    return known.get(name);
  };
  return constant;
}

function stored(file: GraphFile, small: SmallTensors, name: string): Constant | undefined {
  const tensor = file.view.initializers.get(name);
  if (tensor === undefined) return undefined;
  const { type, dims } = tensor;
  return tensorConstant(name, { type, dims }, small.get(tensor), () => file.bytesOf(tensor));
}

function tensorConstant(
  origin: string,
  { type, dims }: Pick<Constant, "type" | "dims">,
  few: Uint8Array | undefined,
  bytes: () => Promise<Uint8Array>,
): Constant {
  const small = few && type && numbersOf(type, few);
  const read = async () => Float32Array.from(small ?? numbersOf(type, await bytes()));
  return { origin, type, dims, small: small && Array.from(small), read, bytes };
}

function numbersOf(type: DataType | undefined, bytes: Uint8Array): ArrayLike<number> {
  if (type === "float32" || type === "float16")
    return decodeFloats(bytes, type === "float32" ? "F32" : "F16");
  const { buffer } = Uint8Array.from(bytes);
  if (type === "int64") return Array.from(new BigInt64Array(buffer), Number);
  if (type === "int32") return new Int32Array(buffer);
  return type === "float64" ? new Float64Array(buffer) : new Uint8Array(buffer);
}

type Find = (value: string) => Constant | undefined;

function computed(node: GraphNode, find: Find): Constant | undefined {
  if (node.operator === "Constant") return constantNode(node);
  const inputs = node.inputs.map(find);
  const [first, second] = inputs;
  if (first === undefined) return undefined;
  if (node.operator === "Transpose") return transposed(first, node);
  if (RESHAPES.has(node.operator)) return { ...first, dims: reshapedDims(node, first, second) };
  const unary = UNARY[node.operator];
  if (unary !== undefined) return mapped(first, unary);
  const binary = BINARY[node.operator];
  if (binary === undefined || second === undefined) return undefined;
  return combined(first, second, binary);
}

/** Operators that keep all numbers in their order. Expand repeats them, of which nothing here asks. */
const RESHAPES: ReadonlySet<string> = new Set(["Reshape", "Unsqueeze", "Squeeze", "Flatten", "Expand"]);

const UNARY: Readonly<Record<string, (x: number) => number>> = {
  Sqrt: Math.sqrt,
  Reciprocal: (x) => 1 / x,
  Neg: (x) => -x,
};

const BINARY: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
};

function constantNode({ attributes, outputs }: GraphNode): Constant | undefined {
  const { value } = attributes;
  if (isTensor(value)) return tensorConstant(outputs[0]!, value, value.bytes, async () => value.bytes);
  const numbers = listed(attributes);
  if (numbers === undefined) return undefined;
  const dims = "value_ints" in attributes || "value_floats" in attributes ? [numbers.length] : [];
  const read = async () => Float32Array.from(numbers);
  return { origin: outputs[0]!, type: undefined, dims, small: numbers, read, bytes: noBytes };
}

const isTensor = (value: AttributeValue | undefined): value is TensorValue =>
  typeof value === "object" && "bytes" in value;

function listed({ value_int, value_ints, value_float, value_floats }: GraphNode["attributes"]) {
  if (typeof value_int === "number") return [value_int];
  if (Array.isArray(value_ints)) return value_ints as readonly number[];
  if (typeof value_float === "object" && "float" in value_float) return [value_float.float];
  if (typeof value_floats === "object" && "floats" in value_floats) return value_floats.floats;
  return undefined;
}

const noBytes = async (): Promise<Uint8Array> => new Uint8Array(0);

/** Of a matrix alone. */
function transposed(of: Constant, { attributes }: GraphNode): Constant | undefined {
  const [rows, columns] = of.dims;
  const { perm } = attributes;
  if (of.dims.length !== 2 || (Array.isArray(perm) && perm[0] === 0)) return undefined;
  const read = async () => transposeFloats(await of.read(), rows!, columns!);
  return { ...of, dims: [columns!, rows!], small: undefined, read, bytes: noBytes };
}

function reshapedDims(
  { operator }: GraphNode,
  { dims }: Constant,
  shape: Constant | undefined,
): readonly number[] {
  if (operator !== "Reshape" || shape?.small === undefined) return dims.filter((dim) => dim !== 1);
  const asked = shape.small.map((dim, axis) => (dim === 0 ? dims[axis]! : dim));
  const known = sizeOf({ dims: asked.filter((dim) => dim >= 0) });
  return asked.map((dim) => (dim < 0 ? sizeOf({ dims }) / known : dim));
}

const mapped = (of: Constant, change: (x: number) => number): Constant => ({
  ...of,
  small: of.small?.map(change),
  read: async () => (await of.read()).map(change),
  bytes: noBytes,
});

/** With a number on one side at least. */
function combined(a: Constant, b: Constant, join: (x: number, y: number) => number): Constant | undefined {
  if (b.small?.length === 1) return mapped(a, (x) => join(x, b.small![0]!));
  if (a.small?.length === 1) return mapped(b, (y) => join(a.small![0]!, y));
  return undefined;
}
