import { intAttribute, intsAttribute, stringAttribute } from "../attributes.js";
import type { DifferentiatedNode, GradientRule } from "../gradient-rule.js";
import { fromFirst, sizesOf } from "../shapes/dims.js";

/** Reshape, Flatten, Squeeze and Unsqueeze: back to the shape that was there before. */
export const reshape: GradientRule = (n) => [() => n.e.reshape(n.upstream(), n.inputShape(0))];

export const transpose: GradientRule = (n) => {
  const order = intsAttribute(n.node, "perm");
  const back = order && { perm: order.map((_, axis) => order.indexOf(axis)) };
  return [() => n.e.node("Transpose", [n.upstream()], back)];
};

export const expand: GradientRule = (n) => [() => n.reduceTo(n.upstream(), 0)];

/** Each input gets its part of the gradient. */
export const concat: GradientRule = (n) => {
  const { e, node } = n;
  const axis = intAttribute(node, "axis", 0);
  const known = sizesOf(node.inputs.map((_, index) => n.inputDims(index)?.at(axis)));
  const emitParts = () =>
    known === undefined
      ? e.nodeWithOutputs("Split", [n.upstream(), emitSizes(n, axis)], node.inputs.length, { axis })
      : emitPieces(n, n.upstream(), known, axis);
  let parts: readonly string[] | undefined;
  return node.inputs.map((_, index) => () => {
    parts ??= emitParts();
    return parts[index]!;
  });
};

/** A GPU's shader has 8 buffers at least, and ONNX Runtime's Split takes one for its input and one for each piece. */
const MOST_PIECES = 7;

/** Pieces of the given sizes along an axis; many are split off in groups first. */
function emitPieces(
  n: DifferentiatedNode,
  whole: string,
  sizes: readonly number[],
  axis: number,
): readonly string[] {
  if (sizes.length === 1) return [whole];
  if (sizes.length <= MOST_PIECES)
    return n.e.nodeWithOutputs("Split", [whole, n.e.ints(sizes)], sizes.length, { axis });
  const groups = inGroups(sizes);
  const wholes = emitPieces(n, whole, groups.map(sum), axis);
  return groups.flatMap((group, index) => emitPieces(n, wholes[index]!, group, axis));
}

const inGroups = (sizes: readonly number[]): readonly (readonly number[])[] =>
  Array.from({ length: Math.ceil(sizes.length / MOST_PIECES) }, (_, index) =>
    sizes.slice(index * MOST_PIECES, (index + 1) * MOST_PIECES),
  );

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0);

/** The sizes of all inputs along an axis, int64. */
function emitSizes(n: DifferentiatedNode, axis: number): string {
  const { e } = n;
  const sizes = n.node.inputs.map((_, index) => e.node("Gather", [n.inputShape(index), e.ints([axis])]));
  return e.node("Concat", sizes, { axis: 0 });
}

export const split: GradientRule = (n) => [
  () => {
    const axis = intAttribute(n.node, "axis", 0);
    const parts = n.node.outputs.map((_, index) => n.upstream(index));
    return n.e.node("Concat", parts, { axis });
  },
];

/** Zeros around the gradient where its place is known, else the gradient scattered to the places of what was taken. */
export const slice: GradientRule = (n) => {
  const { e } = n;
  return [
    () => {
      const pads = slicePads(n);
      if (pads !== undefined) return e.node("Pad", [n.upstream(), e.ints(pads)]);
      const others = n.node.inputs
        .slice(1)
        .map((_, index) => (n.hasInput(index + 1) ? n.input(index + 1) : ""));
      return emitScattered(n, (places) => e.node("Slice", [places, ...others]));
    },
  ];
};

/** Zeros before and after a slice with steps of one, for each axis; `undefined` where they are not known. */
function slicePads(n: DifferentiatedNode): readonly number[] | undefined {
  const sizes = sizesOf(n.inputDims(0));
  const [starts, ends] = [sizesOf(n.inputInts(1)), sizesOf(n.inputInts(2))];
  const axes = n.hasInput(3) ? sizesOf(n.inputInts(3)) : starts?.map((_, axis) => axis);
  const steps = n.hasInput(4) ? sizesOf(n.inputInts(4)) : [];
  if (sizes === undefined || starts === undefined || ends === undefined || axes === undefined)
    return undefined;
  if (steps?.some((step) => step !== 1) ?? true) return undefined;
  const before = sizes.map(() => 0);
  const after = sizes.map(() => 0);
  for (const [index, named] of axes.entries()) {
    const axis = fromFirst(named, sizes.length);
    const size = sizes[axis]!;
    const clamp = (at: number) => Math.min(Math.max(at < 0 ? at + size : at, 0), size);
    const start = clamp(starts[index]!);
    before[axis] = start;
    after[axis] = size - Math.max(start, clamp(ends[index]!));
  }
  return [...before, ...after];
}

/**
 * Adds the gradient of what was taken out of input 0 at its places. `take` takes as the node does, from a value that holds
 * the place of each number.
 */
export function emitScattered(n: DifferentiatedNode, take: (places: string) => string): string {
  const { e } = n;
  const shape = n.inputShape(0);
  const flat = (x: string) => e.reshape(x, e.ints([-1]));
  const count = e.node("ReduceProd", [shape], { keepdims: 0 });
  const range = e.node("Range", [e.ints([0], []), count, e.ints([1], [])]);
  const places = flat(take(e.reshape(range, shape)));
  const sum = e.node("ScatterElements", [flat(n.zeros(0)), places, flat(n.upstream())], { reduction: "add" });
  return e.reshape(sum, shape);
}

/** The part of the gradient that is not padding. */
export const pad: GradientRule = (n) => {
  const { e, node } = n;
  if (stringAttribute(node, "mode", "constant") !== "constant" || n.hasInput(3))
    n.refuse("only padding with a constant along all axes has a gradient here");
  return [
    () => {
      const [starts] = e.nodeWithOutputs("Split", [n.input(1)], 2, splitCount(n));
      return e.node("Slice", [n.upstream(), starts!, e.add(starts!, n.inputShape(0))]);
    },
  ];
};

/** Split takes the number of parts since operator set 18. */
const splitCount = (n: DifferentiatedNode) => (n.e.opset >= 18 ? { num_outputs: 2 } : {});

/** A triangle of the gradient, the same one. */
export const trilu: GradientRule = (n) => [
  () => {
    const diagonal = n.hasInput(1) ? [n.input(1)] : [];
    return n.e.node("Trilu", [n.upstream(), ...diagonal], { upper: intAttribute(n.node, "upper", 1) });
  },
];

/** Sums from the other end. */
export const cumSum: GradientRule = (n) => {
  const [exclusive, reverse] = [intAttribute(n.node, "exclusive", 0), intAttribute(n.node, "reverse", 0)];
  const attributes = { exclusive, reverse: 1 - reverse };
  return [() => n.e.node("CumSum", [n.upstream(), n.input(1)], attributes)];
};
