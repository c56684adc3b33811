import { type DataType, dataTypeOf, type GraphNode, type GraphView, valuesReadBy } from "@kvfold/onnx";
import { intAttribute } from "./attributes.js";
import { type FloatType, isFloat } from "./float-type.js";
import { isCut } from "./no-gradient.js";

/** Which values of a graph depend on the inputs that it is differentiated by, and which nodes gradients go through. */
export interface ActivePart {
  /** Types of the values that depend on these inputs, the inputs themselves included. */
  readonly types: ReadonlyMap<string, FloatType>;
  /** Nodes between these inputs and the outputs, in execution order. */
  readonly nodes: readonly GraphNode[];
}

/**
 * Finds what lies between inputs and outputs. Operators that carry no gradient (comparisons, shapes, integers) end a path,
 * unless the caller has a rule for them.
 */
export function findActivePart(
  { nodes }: GraphView,
  inputs: ReadonlyMap<string, FloatType>,
  outputs: readonly string[],
  hasRule: (operator: string) => boolean,
): ActivePart {
  const types = new Map(inputs);
  const reading = spreadTypes(nodes, types, hasRule);
  const reachesOutput = new Set(outputs);
  const between = reading.toReversed().filter((node) => {
    if (!node.outputs.some((name) => reachesOutput.has(name))) return false;
    for (const name of valuesReadBy(node)) reachesOutput.add(name);
    return true;
  });
  return { types, nodes: between.toReversed() };
}

/** Types of the floats of a graph, as far as they follow from its inputs and initializers. */
export function floatTypes({ nodes, inputs, initializers }: GraphView): ReadonlyMap<string, FloatType> {
  const types = new Map<string, FloatType>();
  for (const { name, type } of [...inputs, ...initializers.values()])
    if (isFloat(type)) types.set(name, type);
  spreadTypes(nodes, types, () => false);
  return types;
}

/** Finds the nodes that read a value of `types` and are not cut, and adds the types of what they write. */
function spreadTypes(
  nodes: readonly GraphNode[],
  types: Map<string, FloatType>,
  hasRule: (operator: string) => boolean,
): readonly GraphNode[] {
  return nodes.filter((node) => {
    const known = valuesReadBy(node).find((name) => types.has(name));
    if (known === undefined || isCut(node, hasRule)) return false;
    for (const name of written(node)) types.set(name, outputType(node, types.get(known)!));
    return true;
  });
}

/** Outputs of a node without those that it leaves out. */
const written = ({ outputs }: GraphNode): readonly string[] => outputs.filter((name) => name !== "");

/** Element types go through a node unchanged, Cast aside. */
function outputType(node: GraphNode, input: FloatType): FloatType {
  if (node.operator !== "Cast") return input;
  const to: DataType | undefined = dataTypeOf(intAttribute(node, "to", 0));
  return isFloat(to) ? to : input;
}
