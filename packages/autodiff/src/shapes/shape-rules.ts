import type { GraphNode } from "@kvfold/onnx";
import { intAttribute, intsAttribute, operatorKey, tensorAttribute } from "../attributes.js";
import { broadcast, type Dim, type Dims, fromFirst, sizesOf } from "./dims.js";

/** What is known of a node's inputs. */
export interface ShapeNode {
  readonly node: GraphNode;
  readonly dims: (input: number) => Dims;
  /** The numbers of an int64 vector or scalar, as far as they are known. */
  readonly ints: (input: number) => readonly Dim[] | undefined;
}

type ShapeRule = (node: ShapeNode) => readonly Dims[];

/** Dimensions of a node's outputs; nothing is known of operators that are not listed here. */
export const shapesOf = (node: ShapeNode): readonly Dims[] => rules.get(operatorKey(node.node))?.(node) ?? [];

const same: ShapeRule = ({ dims }) => [dims(0)];
const broadcasts: ShapeRule = ({ node, dims }) => [broadcast(...node.inputs.map((_, index) => dims(index)))];

/** The axes that a node names, in an attribute or in an input; `undefined` where they are not known. */
function axesOf({ node, ints }: Pick<ShapeNode, "node" | "ints">, input = 1): readonly number[] | undefined {
  const attribute = intsAttribute(node, "axes");
  return attribute ?? sizesOf(ints(input));
}

const hasAxes = ({ node }: Pick<ShapeNode, "node">): boolean =>
  "axes" in node.attributes || (node.inputs[1] ?? "") !== "";

const reduced: ShapeRule = (context) => {
  const { node } = context;
  const dims = context.dims(0);
  const axes = hasAxes(context) ? axesOf(context) : dims?.map((_, axis) => axis);
  if (dims === undefined || axes === undefined) return [undefined];
  if (!hasAxes(context) && intAttribute(node, "noop_with_empty_axes", 0) === 1) return [dims];
  const gone = new Set(axes.map((axis) => fromFirst(axis, dims.length)));
  return intAttribute(node, "keepdims", 1) === 1
    ? [dims.map((dim, axis) => (gone.has(axis) ? 1 : dim))]
    : [dims.filter((_, axis) => !gone.has(axis))];
};

const product: ShapeRule = ({ node, dims }) => {
  const turned = (side: Dims, flag: string): Dims =>
    side !== undefined && intAttribute(node, flag, 0) === 1
      ? [...side.slice(0, -2), side.at(-1), side.at(-2)]
      : side;
  const [a, b] = [turned(dims(0), "transA"), turned(dims(1), "transB")];
  if (a === undefined || b === undefined || a.length < 2 || b.length < 2) return [undefined];
  const batch = broadcast(a.slice(0, -2), b.slice(0, -2));
  return [batch && [...batch, a.at(-2), b.at(-1)]];
};

const reshaped: ShapeRule = ({ node, dims, ints }) => {
  const to = ints(1);
  const from = dims(0);
  if (to === undefined) return [undefined];
  const copiesZero = intAttribute(node, "allowzero", 0) === 0;
  const copied = to.map((dim, axis) => (dim === 0 && copiesZero ? from?.[axis] : dim));
  return [copied.map((dim) => (dim === -1 ? restOf(from, copied) : dim))];
};

/** The one dimension that follows from all others. */
function restOf(from: Dims, to: readonly Dim[]): Dim {
  if (from === undefined) return undefined;
  const left = [...from];
  for (const dim of to.filter((dim) => typeof dim === "string")) {
    if (!left.includes(dim)) return undefined;
    left.splice(left.indexOf(dim), 1);
  }
  const [total, others] = [sizesOf(left), sizesOf(to.filter((dim) => dim !== -1 && typeof dim !== "string"))];
  if (total === undefined || others === undefined) return undefined;
  const size = total.reduce((a, b) => a * b, 1) / others.reduce((a, b) => a * b, 1);
  return Number.isInteger(size) ? size : undefined;
}

const transposed: ShapeRule = ({ node, dims }) => {
  const from = dims(0);
  const order = intsAttribute(node, "perm") ?? from?.map((_, axis) => from.length - 1 - axis);
  return [from && order?.map((axis) => from[axis])];
};

/** `dims` with another size along one axis. */
const withSize = (dims: Dims, axis: number, size: Dim): Dims =>
  dims?.map((dim, index) => (index === fromFirst(axis, dims.length) ? size : dim));

const concatenated: ShapeRule = ({ node, dims }) => {
  const axis = intAttribute(node, "axis", 0);
  const all = node.inputs.map((_, index) => dims(index));
  const sizes = sizesOf(all.map((one) => one?.at(axis)));
  return [
    withSize(
      all.find((one) => one !== undefined),
      axis,
      sizes?.reduce((a, b) => a + b, 0),
    ),
  ];
};

const split: ShapeRule = ({ node, dims, ints }) => {
  const axis = intAttribute(node, "axis", 0);
  const total = dims(0)?.at(axis);
  const count = node.outputs.length;
  const equal = typeof total === "number" ? Math.ceil(total / count) : undefined;
  return node.outputs.map((_, index) => {
    const rest = equal === undefined ? undefined : Math.min(equal, (total as number) - index * equal);
    return withSize(dims(0), axis, (node.inputs[1] ?? "") === "" ? rest : ints(1)?.[index]);
  });
};

const sliced: ShapeRule = ({ node, dims, ints }) => {
  const from = dims(0);
  const [starts, ends, steps] = [ints(1), ints(2), ints(4)];
  const hasAxesInput = (node.inputs[3] ?? "") !== "";
  const axes = hasAxesInput ? sizesOf(ints(3)) : starts?.map((_, axis) => axis);
  if (from === undefined || axes === undefined) return [from?.map(() => undefined)];
  const hasSteps = (node.inputs[4] ?? "") !== "";
  return [
    axes.reduce<Dims>((to, axis, index) => {
      const step = hasSteps ? steps?.[index] : 1;
      return withSize(to, axis, sliceSize(from.at(axis), starts?.[index], ends?.[index], step));
    }, from),
  ];
};

function sliceSize(size: Dim, start: Dim, end: Dim, step: Dim): Dim {
  const numbers = [size, start, end, step];
  if (!numbers.every((number) => typeof number === "number")) return undefined;
  const [total, first, last, stride] = numbers as [number, number, number, number];
  const [low, high] = stride > 0 ? [0, total] : [-1, total - 1];
  const clamp = (index: number) => Math.min(Math.max(index < 0 ? index + total : index, low), high);
  return Math.max(0, Math.ceil((clamp(last) - clamp(first)) / stride));
}

const gathered: ShapeRule = ({ node, dims }) => {
  const [data, indices] = [dims(0), dims(1)];
  if (data === undefined || indices === undefined) return [undefined];
  const axis = fromFirst(intAttribute(node, "axis", 0), data.length);
  return [[...data.slice(0, axis), ...indices, ...data.slice(axis + 1)]];
};

const unsqueezed: ShapeRule = (context) => {
  const [from, axes] = [context.dims(0), axesOf(context)];
  if (from === undefined || axes === undefined) return [undefined];
  const rank = from.length + axes.length;
  const added = new Set(axes.map((axis) => fromFirst(axis, rank)));
  const rest = [...from];
  return [Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()))];
};

const squeezed: ShapeRule = (context) => {
  const from = context.dims(0);
  const axes = hasAxes(context)
    ? axesOf(context)
    : sizesOf(from)?.flatMap((size, axis) => (size === 1 ? [axis] : []));
  if (from === undefined || axes === undefined) return [undefined];
  const gone = new Set(axes.map((axis) => fromFirst(axis, from.length)));
  return [from.filter((_, axis) => !gone.has(axis))];
};

const shapeVector: ShapeRule = ({ node, dims }) => {
  const from = dims(0);
  const { start, end } = shapeRange(node);
  return [[from?.slice(start, end).length]];
};

/** The part of its input's dimensions that a Shape node gives. */
export const shapeRange = (node: GraphNode): { readonly start: number; readonly end: number | undefined } => {
  const end = intAttribute(node, "end", Number.NaN);
  return { start: intAttribute(node, "start", 0), end: Number.isNaN(end) ? undefined : end };
};

const padded: ShapeRule = ({ node, dims, ints }) => {
  const [from, pads] = [dims(0), ints(1)];
  if (from === undefined || pads === undefined || (node.inputs[3] ?? "") !== "")
    return [from?.map(() => undefined)];
  return [
    from.map((dim, axis) => {
      const numbers = sizesOf([dim, pads[axis], pads[axis + from.length]]);
      return numbers?.reduce((a, b) => a + b, 0);
    }),
  ];
};

const multiplied: ShapeRule = ({ node, dims }) => {
  const [a, b] = [dims(0), dims(1)];
  const flag = (name: string) => intAttribute(node, name, 0) === 1;
  return [a && b && [a.at(flag("transA") ? 1 : 0), b.at(flag("transB") ? 0 : 1)]];
};

const list = (rule: ShapeRule, operators: string): readonly [string, ShapeRule][] =>
  operators.split(" ").map((operator) => [operator, rule]);

const rules: ReadonlyMap<string, ShapeRule> = /*@__PURE__*/ new Map([
  ...list(same, "Neg Sqrt Exp Log Tanh Sigmoid Erf Relu Abs Sin Cos Reciprocal Softplus LeakyRelu Gelu"),
  ...list(same, "Cast CastLike Identity Softmax LogSoftmax CumSum Clip Trilu Dropout"),
  ...list(same, "Not IsNaN IsInf Floor Ceil Round Sign ScatterElements ScatterND"),
  ...list(same, "LayerNormalization SimplifiedLayerNormalization"),
  ...list(same, "com.microsoft:Gelu com.microsoft:FastGelu com.microsoft:QuickGelu com.microsoft:BiasGelu"),
  ...list(same, "com.microsoft:RotaryEmbedding com.microsoft:GroupQueryAttention"),
  ...list(broadcasts, "Add Sub Mul Div Pow Max Min Sum Mean Mod Where And Or Xor"),
  ...list(broadcasts, "Equal Greater GreaterOrEqual Less LessOrEqual"),
  ...list(
    reduced,
    "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceSumSquare ReduceL2 ReduceLogSumExp",
  ),
  ...list(
    ({ dims }) => [dims(0), undefined, undefined, dims(0)],
    "com.microsoft:SkipSimplifiedLayerNormalization",
  ),
  ...list(product, "MatMul com.microsoft:FusedMatMul"),
  ...list(multiplied, "Gemm"),
  ...list(reshaped, "Reshape"),
  ...list(transposed, "Transpose"),
  ...list(concatenated, "Concat"),
  ...list(split, "Split"),
  ...list(sliced, "Slice"),
  ...list(gathered, "Gather"),
  ...list(({ dims }) => [dims(1)], "GatherElements"),
  ...list(unsqueezed, "Unsqueeze"),
  ...list(squeezed, "Squeeze"),
  ...list(({ dims, ints }) => [broadcast(dims(0), ints(1))], "Expand"),
  ...list(({ ints }) => [ints(0)], "ConstantOfShape"),
  ...list(shapeVector, "Shape"),
  ...list(() => [[]], "Size"),
  ...list(() => [[undefined]], "Range"),
  ...list(padded, "Pad"),
  ...list(({ node }) => [tensorAttribute(node, "value")?.dims], "Constant"),
]);
