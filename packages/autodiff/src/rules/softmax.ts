import { intAttribute } from "../attributes.js";
import type { GradientRule } from "../gradient-rule.js";

/** `y (dy - Σ dy y)`, the sum along the axis of the softmax. */
export const softmax: GradientRule = (n) => {
  const { e } = n;
  return [
    () => {
      const y = n.output();
      const weighted = e.mul(n.upstream(), y);
      const total = e.sum(weighted, [intAttribute(n.node, "axis", -1)]);
      return e.sub(weighted, e.mul(y, total));
    },
  ];
};

/** `dy - exp(y) Σ dy`. */
export const logSoftmax: GradientRule = (n) => {
  const { e } = n;
  return [
    () => {
      const total = e.sum(n.upstream(), [intAttribute(n.node, "axis", -1)]);
      return e.sub(n.upstream(), e.mul(e.node("Exp", [n.output()]), total));
    },
  ];
};
