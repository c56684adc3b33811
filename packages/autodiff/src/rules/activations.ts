import { floatAttribute, stringAttribute } from "../attributes.js";
import type { DifferentiatedNode, GradientRule } from "../gradient-rule.js";

/** What FastGelu approximates the error function with: `tanh(√(2/π) (x + 0.044715 x³))`. */
const [ROOT, CUBE] = [Math.sqrt(2 / Math.PI), 0.044715];

/** `Φ(x) + x φ(x)` with the normal distribution `Φ` and its density `φ`. */
function geluSlope({ e, type }: DifferentiatedNode, x: string): string {
  const one = e.scalar(1, type);
  const share = e.scale(e.add(one, e.node("Erf", [e.scale(x, Math.SQRT1_2, type)])), 0.5, type);
  const bell = e.node("Exp", [e.scale(e.mul(x, x), -0.5, type)]);
  return e.add(share, e.mul(x, e.scale(bell, 1 / Math.sqrt(2 * Math.PI), type)));
}

/** `(1 + t) / 2 + x (1 - t²) u' / 2` with `t = tanh(u)`, `u` as above. */
function fastGeluSlope({ e, type }: DifferentiatedNode, x: string): string {
  const one = e.scalar(1, type);
  const square = e.mul(x, x);
  const inner = e.mul(x, e.add(e.scalar(ROOT, type), e.scale(square, ROOT * CUBE, type)));
  const t = e.node("Tanh", [inner]);
  const slope = e.add(e.scalar(ROOT, type), e.scale(square, 3 * ROOT * CUBE, type));
  const second = e.mul(x, e.mul(e.sub(one, e.mul(t, t)), slope));
  return e.scale(e.add(e.add(one, t), second), 0.5, type);
}

/** ONNX's Gelu, whose attribute may ask for the approximation. */
export const gelu: GradientRule = (n) => {
  const slope = stringAttribute(n.node, "approximate", "none") === "tanh" ? fastGeluSlope : geluSlope;
  return [() => n.e.mul(n.upstream(), slope(n, n.input(0)))];
};

/** ONNX Runtime's: `f(x + bias)`, the bias `[width]` left out or along the last axis. */
const biased =
  (slope: (n: DifferentiatedNode, x: string) => string): GradientRule =>
  (n) => {
    const inner = () => {
      const x = n.hasInput(1) ? n.e.add(n.input(0), n.input(1)) : n.input(0);
      return n.e.mul(n.upstream(), slope(n, x));
    };
    return [inner, () => n.reduceTo(inner(), 1)];
  };

export const fastGelu: GradientRule = biased(fastGeluSlope);
export const biasGelu: GradientRule = biased(geluSlope);

/** `x s(αx)` with the logistic function `s`: slope `s (1 + αx (1 - s))`. */
export const quickGelu: GradientRule = (n) => {
  const { e, type } = n;
  return [
    () => {
      const scaled = e.scale(n.input(0), floatAttribute(n.node, "alpha", 1.702), type);
      const s = e.node("Sigmoid", [scaled]);
      const one = e.scalar(1, type);
      const slope = e.mul(s, e.add(one, e.mul(scaled, e.sub(one, s))));
      return e.mul(n.upstream(), slope);
    },
  ];
};

/** `dy`, times the slope where the input is below 0. */
export const leakyRelu: GradientRule = (n) => {
  const { e, type } = n;
  return [
    () => {
      const isBelow = e.node("Less", [n.input(0), e.scalar(0, type)]);
      const lower = e.scale(n.upstream(), floatAttribute(n.node, "alpha", 0.01), type);
      return e.node("Where", [isBelow, lower, n.upstream()]);
    },
  ];
};
