import type { GraphNode } from "@kvfold/onnx";
import { intAttribute, stringAttribute } from "../attributes.js";
import type { GradientRule } from "../gradient-rule.js";
import { emitScattered } from "./layout.js";

/** Adds the gradient at the indices: numbers that were taken several times get the sum. */
export const gather: GradientRule = (n) => {
  const { e } = n;
  const axis = intAttribute(n.node, "axis", 0);
  return [
    () => {
      if (axis !== 0) return emitScattered(n, (places) => e.node("Gather", [places, n.input(1)], { axis }));
      const indices = e.node("Unsqueeze", [n.input(1), e.ints([-1])]);
      return e.node("ScatterND", [n.zeros(0), indices, n.upstream()], { reduction: "add" });
    },
  ];
};

export const gatherElements: GradientRule = (n) => [
  () =>
    n.e.node("ScatterElements", [n.zeros(0), n.input(1), n.upstream()], {
      axis: intAttribute(n.node, "axis", 0),
      reduction: "add",
    }),
];

export const gatherND: GradientRule = (n) => {
  if (intAttribute(n.node, "batch_dims", 0) !== 0) n.refuse("batches have no gradient here");
  return [() => n.e.node("ScatterND", [n.zeros(0), n.input(1), n.upstream()], { reduction: "add" })];
};

const reduction = (node: GraphNode): string => stringAttribute(node, "reduction", "none");

/** ScatterElements and ScatterND: what is overwritten gets no gradient, what is written the one at its place. */
const scatter =
  (
    take: (axis: number) => {
      readonly operator: string;
      readonly attributes: Readonly<Record<string, number>>;
    },
  ): GradientRule =>
  (n) => {
    const { e, node } = n;
    const adds = reduction(node) === "add";
    if (!adds && reduction(node) !== "none")
      n.refuse(`a reduction ${JSON.stringify(reduction(node))} has no gradient here`);
    const axis = intAttribute(node, "axis", 0);
    const { operator, attributes } = take(axis);
    return [
      () =>
        adds ? n.upstream() : e.node(node.operator, [n.upstream(), n.input(1), n.zeros(2)], node.attributes),
      undefined,
      () => e.node(operator, [n.upstream(), n.input(1)], attributes),
    ];
  };

export const scatterElements: GradientRule = scatter((axis) => ({
  operator: "GatherElements",
  attributes: { axis },
}));

export const scatterND: GradientRule = scatter(() => ({ operator: "GatherND", attributes: {} }));
