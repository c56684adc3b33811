import { intAttribute, intsAttribute } from "../attributes.js";
import type { DifferentiatedNode, GradientRule } from "../gradient-rule.js";
import { countOf } from "../shapes/dims.js";

/** The axes of a reduction as an int64 value: an attribute in older operator sets, else an input; none means all. */
function axesInput(n: DifferentiatedNode): string | undefined {
  const axes = intsAttribute(n.node, "axes");
  if (axes !== undefined) return n.e.ints(axes);
  return n.hasInput(1) ? n.input(1) : undefined;
}

/** A reduced value with its axes back, of size 1. */
function withAxes(n: DifferentiatedNode, reduced: string): string {
  const axes = axesInput(n);
  // A scalar broadcasts as it is.
  if (intAttribute(n.node, "keepdims", 1) === 1 || axes === undefined) return reduced;
  return n.e.node("Unsqueeze", [reduced, axes]);
}

/** Without axes, and told to do nothing then. */
const doesNothing = (n: DifferentiatedNode): boolean =>
  axesInput(n) === undefined && intAttribute(n.node, "noop_with_empty_axes", 0) === 1;

const spread = (n: DifferentiatedNode, gradient: string): string =>
  n.e.node("Expand", [withAxes(n, gradient), n.inputShape(0)]);

export const reduceSum: GradientRule = (n) => [
  () => (doesNothing(n) ? n.upstream() : spread(n, n.upstream())),
];

export const reduceMean: GradientRule = (n) => [
  () => (doesNothing(n) ? n.upstream() : spread(n, n.e.div(n.upstream(), emitCount(n)))),
];

/** How many numbers go into one. */
function emitCount(n: DifferentiatedNode): string {
  const { e, type } = n;
  const [all, results] = [countOf(n.inputDims(0)), countOf(n.outputDims())];
  if (all !== undefined && results !== undefined) return e.scalar(all / results, type);
  const count = (shape: string) => e.node("ReduceProd", [shape], { keepdims: 0 });
  return e.cast(e.div(count(n.inputShape(0)), count(n.outputShape())), type);
}

/** ReduceMax and ReduceMin: the gradient goes to the number that was taken, in equal parts to equal ones. */
export const reduceExtreme: GradientRule = (n) => {
  const { e } = n;
  return [
    () => {
      if (doesNothing(n)) return n.upstream();
      const isTaken = e.cast(e.node("Equal", [n.input(0), withAxes(n, n.output())]), n.type);
      const axes = axesInput(n);
      const inputs = axes === undefined ? [isTaken] : [isTaken, axes];
      const count = e.node("ReduceSum", inputs, { keepdims: 1 });
      return e.mul(isTaken, e.div(withAxes(n, n.upstream()), count));
    },
  ];
};
