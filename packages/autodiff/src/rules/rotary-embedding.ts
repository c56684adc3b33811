import type { GradientRule } from "../gradient-rule.js";

/** A rotation by the negative angle: the same operator with negated sines. */
export const rotaryEmbedding: GradientRule = (n) => {
  const { e, node } = n;
  return [
    () =>
      e.node(
        "com.microsoft:RotaryEmbedding",
        [n.upstream(), n.input(1), n.input(2), e.neg(n.input(3))],
        node.attributes,
      ),
  ];
};
