import type { DifferentiatedNode, GradientRule } from "../gradient-rule.js";

/** A rule for an operator of one input that works on each number alone: its gradient from that of the output. */
const unary =
  (emit: (n: DifferentiatedNode, gradient: string) => string): GradientRule =>
  (n) => [() => emit(n, n.upstream())];

export const identity: GradientRule = unary((_, dy) => dy);

export const neg: GradientRule = unary(({ e }, dy) => e.neg(dy));

/** `dy / (2 y)`. */
export const sqrt: GradientRule = unary((n, dy) => n.e.div(n.e.scale(dy, 0.5, n.type), n.output()));

export const exp: GradientRule = unary((n, dy) => n.e.mul(dy, n.output()));

export const log: GradientRule = unary((n, dy) => n.e.div(dy, n.input(0)));

/** `dy (1 - y²)`. */
export const tanh: GradientRule = unary((n, dy) => {
  const y = n.output();
  return n.e.mul(dy, n.e.sub(n.e.scalar(1, n.type), n.e.mul(y, y)));
});

/** `dy y (1 - y)`. */
export const sigmoid: GradientRule = unary((n, dy) => {
  const y = n.output();
  return n.e.mul(dy, n.e.mul(y, n.e.sub(n.e.scalar(1, n.type), y)));
});

/** `dy 2 / √π exp(-x²)`. */
export const erf: GradientRule = unary((n, dy) => {
  const x = n.input(0);
  const bell = n.e.node("Exp", [n.e.neg(n.e.mul(x, x))]);
  return n.e.mul(dy, n.e.scale(bell, 2 / Math.sqrt(Math.PI), n.type));
});

/** 0 where the output is 0, the corner included. */
export const relu: GradientRule = unary((n, dy) => {
  const zero = n.e.scalar(0, n.type);
  return n.e.node("Where", [n.e.node("Greater", [n.output(), zero]), dy, zero]);
});

export const abs: GradientRule = unary((n, dy) => n.e.mul(dy, n.e.node("Sign", [n.input(0)])));

export const sin: GradientRule = unary((n, dy) => n.e.mul(dy, n.e.node("Cos", [n.input(0)])));

export const cos: GradientRule = unary((n, dy) => n.e.neg(n.e.mul(dy, n.e.node("Sin", [n.input(0)]))));

export const softplus: GradientRule = unary((n, dy) => n.e.mul(dy, n.e.node("Sigmoid", [n.input(0)])));

/** `-dy y²`. */
export const reciprocal: GradientRule = unary((n, dy) => {
  const y = n.output();
  return n.e.neg(n.e.mul(dy, n.e.mul(y, y)));
});

/** A cast between floats; the gradient gets the type of the input. */
export const cast: GradientRule = unary((n, dy) => n.e.cast(dy, n.type));

/** A cast to the type of the second input, whose numbers do not matter. */
export const castLike: GradientRule = (n) => [() => n.e.cast(n.upstream(), n.type), () => n.zeros(1)];
