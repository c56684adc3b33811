import { dataTypeOf, type GraphNode } from "@kvfold/onnx";
import { intAttribute, operatorKey } from "./attributes.js";
import { isFloat } from "./float-type.js";

/**
 * Operators whose outputs are not floats, or do not change with small changes of their inputs: gradients through them are
 * zero, and paths end there.
 */
export const operatorsWithoutGradient: ReadonlySet<string> = /*@__PURE__*/ new Set(
  [
    // Shapes and indices.
    "Shape Size NonZero ArgMax ArgMin ConstantOfShape Constant EyeLike",
    // Comparisons and logic.
    "Equal Greater GreaterOrEqual Less LessOrEqual And Or Not Xor IsNaN IsInf",
    // Steps.
    "Floor Ceil Round Sign",
    // Numbers that are drawn, in the shape of another value.
    "RandomNormalLike RandomUniformLike Bernoulli Multinomial",
  ].flatMap((names) => names.split(" ")),
);

/**
 * Whether no gradient goes through a node.
 *
 * @param hasRule - Whether the caller has a rule for an operator that is listed above.
 */
export const isCut = (node: GraphNode, hasRule: (operator: string) => boolean): boolean =>
  (operatorsWithoutGradient.has(operatorKey(node)) && !hasRule(operatorKey(node))) ||
  (node.operator === "Cast" && !isFloat(dataTypeOf(intAttribute(node, "to", 0))));
