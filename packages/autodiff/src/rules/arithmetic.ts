import type { GradientRule } from "../gradient-rule.js";

export const add: GradientRule = (n) => [
  () => n.reduceTo(n.upstream(), 0),
  () => n.reduceTo(n.upstream(), 1),
];

export const sub: GradientRule = (n) => [
  () => n.reduceTo(n.upstream(), 0),
  () => n.e.neg(n.reduceTo(n.upstream(), 1)),
];

export const mul: GradientRule = (n) => [
  () => n.reduceTo(n.e.mul(n.upstream(), n.input(1)), 0),
  () => n.reduceTo(n.e.mul(n.upstream(), n.input(0)), 1),
];

/** `dy / b` and `-dy y / b`. */
export const div: GradientRule = (n) => [
  () => n.reduceTo(n.e.div(n.upstream(), n.input(1)), 0),
  () => n.e.neg(n.reduceTo(n.e.div(n.e.mul(n.upstream(), n.output()), n.input(1)), 1)),
];

/** `dy b a^(b - 1)`, and `dy y log a` where the base is above 0; the exponent has no gradient at other bases. */
export const pow: GradientRule = (n) => {
  const { e } = n;
  return [
    () => {
      const a = n.input(0);
      const b = e.node("CastLike", [n.input(1), a]);
      const power = e.node("Pow", [a, e.sub(b, e.scalar(1, n.type))]);
      return n.reduceTo(e.mul(n.upstream(), e.mul(b, power)), 0);
    },
    () => {
      const a = n.input(0);
      const isPositive = e.node("Greater", [a, e.node("CastLike", [e.scalar(0, n.type), a])]);
      const base = e.node("Where", [isPositive, a, e.node("CastLike", [e.scalar(1, n.type), a])]);
      return n.reduceTo(e.mul(n.upstream(), e.mul(n.output(), e.node("Log", [base]))), 1);
    },
  ];
};

/** Sum of any number of inputs. */
export const sum: GradientRule = (n) =>
  n.node.inputs.map((_, index) => () => n.reduceTo(n.upstream(), index));

export const mean: GradientRule = (n) =>
  n.node.inputs.map((_, index) => () => {
    const share = n.e.scale(n.upstream(), 1 / n.node.inputs.length, n.type);
    return n.reduceTo(share, index);
  });

/** Max and Min of any number of inputs: the gradient goes to the input that was taken, in equal parts to equal ones. */
export const extreme: GradientRule = (n) => {
  const { e } = n;
  const isTaken = (index: number) => e.cast(e.node("Equal", [n.input(index), n.output()]), n.type);
  const count = () => n.node.inputs.map((_, index) => isTaken(index)).reduce((a, b) => e.add(a, b));
  return n.node.inputs.map(
    (_, index) => () => n.reduceTo(e.div(e.mul(n.upstream(), isTaken(index)), count()), index),
  );
};

/** The condition has no gradient. */
export const where: GradientRule = (n) => {
  const { e } = n;
  const zero = () => e.scalar(0, n.type);
  return [
    undefined,
    () => n.reduceTo(e.node("Where", [n.input(0), n.upstream(), zero()]), 1),
    () => n.reduceTo(e.node("Where", [n.input(0), zero(), n.upstream()]), 2),
  ];
};

/** To the input where it lies between the bounds, these included; else to the bound, a single number. */
export const clip: GradientRule = (n) => {
  const { e } = n;
  const below = () => e.node("Less", [n.input(0), n.input(1)]);
  const above = () => e.node("Greater", [n.input(0), n.input(2)]);
  const only = (condition: string) => e.node("Where", [condition, n.upstream(), e.scalar(0, n.type)]);
  return [
    () => {
      const outside = [...(n.hasInput(1) ? [below()] : []), ...(n.hasInput(2) ? [above()] : [])];
      return outside.reduce(
        (dx, condition) => e.node("Where", [condition, e.scalar(0, n.type), dx]),
        n.upstream(),
      );
    },
    () => e.node("ReduceSum", [only(below())], { keepdims: 0 }),
    () => e.node("ReduceSum", [only(above())], { keepdims: 0 }),
  ];
};
