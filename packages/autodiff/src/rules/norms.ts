import { floatAttribute, intAttribute } from "../attributes.js";
import type { DifferentiatedNode, GradientRule } from "../gradient-rule.js";
import { once } from "./once.js";

/** The value that is normalised, over which axes, and its scale. */
interface NormParts {
  readonly axes: readonly number[];
  readonly epsilon: number;
  readonly x: () => string;
  /** `dy * scale`. */
  readonly scaled: () => string;
}

/** Axes from that of the node to the last, counted from the last where that can be. */
function normAxes(n: DifferentiatedNode): readonly number[] {
  const axis = intAttribute(n.node, "axis", -1);
  const rank = n.inputDims(0)?.length;
  if (axis >= 0 && rank === undefined)
    n.refuse("its axis must count from the last one, or its input have a rank");
  const first = axis < 0 ? axis : axis - rank!;
  return Array.from({ length: -first }, (_, index) => first + index);
}

/** `1 / √(mean(x²) + epsilon)`. */
function emitInverseRoot({ e, type }: DifferentiatedNode, x: string, { axes, epsilon }: NormParts): string {
  const power = e.mean(e.mul(x, x), axes);
  return e.node("Reciprocal", [e.node("Sqrt", [e.add(power, e.scalar(epsilon, type))])]);
}

/** `r (g - x̂ mean(g x̂))` with `x̂ = r x`. */
function emitRmsGradient(n: DifferentiatedNode, parts: NormParts, inverse: string): string {
  const { e } = n;
  const normed = e.mul(parts.x(), inverse);
  const along = e.mean(e.mul(parts.scaled(), normed), parts.axes);
  return e.mul(e.sub(parts.scaled(), e.mul(normed, along)), inverse);
}

/** RMSNorm, `x r scale`. */
export const rmsNorm: GradientRule = (n) => {
  const { e } = n;
  if (n.hasUpstream(1)) n.refuse("its second output has no gradient here");
  const parts = {
    axes: normAxes(n),
    epsilon: floatAttribute(n.node, "epsilon", 1e-5),
    x: () => n.input(0),
    scaled: once(() => e.mul(n.upstream(), n.input(1))),
  };
  const inverse = once(() => emitInverseRoot(n, parts.x(), parts));
  return [
    () => emitRmsGradient(n, parts, inverse()),
    () => n.reduceTo(e.mul(n.upstream(), e.mul(parts.x(), inverse())), 1),
  ];
};

/** `(x - mean) r scale + bias`: an RMSNorm of what is left of `x` without its mean. */
export const layerNorm: GradientRule = (n) => {
  const { e } = n;
  if (n.hasUpstream(1) || n.hasUpstream(2)) n.refuse("its outputs besides the first have no gradient here");
  const axes = normAxes(n);
  const parts = {
    axes,
    epsilon: floatAttribute(n.node, "epsilon", 1e-5),
    x: once(() => e.sub(n.input(0), e.mean(n.input(0), axes))),
    scaled: once(() => e.mul(n.upstream(), n.input(1))),
  };
  const inverse = once(() => emitInverseRoot(n, parts.x(), parts));
  return [
    () => {
      const centred = emitRmsGradient(n, parts, inverse());
      return e.sub(centred, e.mean(centred, axes));
    },
    () => n.reduceTo(e.mul(n.upstream(), e.mul(parts.x(), inverse())), 1),
    () => n.reduceTo(n.upstream(), 2),
  ];
};

/** ONNX Runtime's RMSNorm of `x + skip + bias`, a sum that is its fourth output, too. */
export const skipRmsNorm: GradientRule = (n) => {
  const { e } = n;
  if (n.hasUpstream(1) || n.hasUpstream(2)) n.refuse("its second and third output have no gradient here");
  const sum = once(() => {
    const skipped = e.add(n.input(0), n.input(1));
    return n.hasInput(3) ? e.add(skipped, n.input(3)) : skipped;
  });
  const parts = {
    axes: [-1],
    epsilon: floatAttribute(n.node, "epsilon", 1e-12),
    x: sum,
    scaled: once(() => e.mul(n.upstream(), n.input(2))),
  };
  const inverse = once(() => emitInverseRoot(n, sum(), parts));
  const gradient = once(() => {
    const own = emitRmsGradient(n, parts, inverse());
    return n.hasUpstream(3) ? e.add(own, n.upstream(3)) : own;
  });
  return [
    gradient,
    () => n.reduceTo(gradient(), 1),
    () => n.reduceTo(e.mul(n.upstream(), e.mul(sum(), inverse())), 2),
    () => n.reduceTo(gradient(), 3),
  ];
};
