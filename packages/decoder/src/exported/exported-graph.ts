import type { GraphNode, GraphView } from "@kvfold/onnx";
import type { GraphFile } from "../checkpoint/graph-file.js";
import { DecoderError } from "../decoder-error.js";
import { type Constant, constantsOf } from "./constants.js";
import type { SmallTensors } from "./small-tensors.js";
import type { Term } from "./term.js";

/** A decoder graph that another tool wrote, to be read from its outputs towards its inputs. */
export interface ExportedGraph {
  /** For messages. */
  readonly file: string;
  readonly view: GraphView;
  /** What makes a value. Casts and copies are passed over, since they change no numbers that count. */
  term(value: string): Term;
  /** A value that does not depend on the graph's inputs. */
  constant(value: string): Constant | undefined;
}

/** Operators whose first input goes through unchanged. */
const COPIES: ReadonlySet<string> = new Set(["Identity", "Cast", "Dropout"]);

export function exportedGraph(file: GraphFile, small: SmallTensors): ExportedGraph {
  const { view } = file;
  requireOrder(file);
  const makers = new Map<string, Term>();
  for (const node of view.nodes) for (const term of termsOf(node)) makers.set(term.value, term);
  const term = (value: string): Term => {
    let found = makers.get(value);
    let last = value;
    while (found?.node !== undefined && COPIES.has(found.node.operator)) {
      last = found.node.inputs[0]!;
      found = makers.get(last);
    }
    return found ?? { value: last, node: undefined, output: 0 };
  };
  return { file: file.name, view, term, constant: constantsOf(file, small, term) };
}

/**
 * Makes sure that each value is made once, and before it is used. Then no value depends on itself, and whoever follows values
 * back comes to an end.
 */
function requireOrder({ name, view }: GraphFile): void {
  const made = new Set<string>([...view.initializers.keys(), ...view.inputs.map((input) => input.name)]);
  const refuse = (node: GraphNode, problem: string): never => {
    throw new DecoderError(
      "malformed-checkpoint",
      `${name}: ${describeNode(node)} ${problem}; export the graph again`,
    );
  };
  for (const node of view.nodes) {
    const unknown = node.inputs.find((input) => input !== "" && !made.has(input));
    if (unknown !== undefined) refuse(node, `uses ${unknown}, which nothing before it makes`);
    for (const output of node.outputs) {
      if (made.has(output)) refuse(node, `makes ${output}, which is there already`);
      if (output !== "") made.add(output);
    }
  }
}

const termsOf = (node: GraphNode): readonly Term[] => [
  ...node.outputs.map((value, output) => ({ value, node, output })),
  ...(node.operator.startsWith("Skip") ? [{ value: skipSum(node), node, output: SUM_OUTPUT }] : []),
];

/** Output of a norm that adds first: the sum itself. */
export const SUM_OUTPUT = 3;

/** What a norm that adds first calls its sum, also where the graph has no use for it. */
export const skipSum = ({ outputs }: GraphNode): string => outputs[SUM_OUTPUT] || `the sum in ${outputs[0]}`;

/** Says of a value what was expected in its place, and what to do. */
export function unrecognised(graph: ExportedGraph, value: string, expected: string): DecoderError {
  const { node, value: name } = graph.term(value);
  const found = node === undefined ? `${name || "nothing"}, which no node makes` : describeNode(node);
  return unreadable(graph.file, expected, found);
}

/** Says what was expected of a graph and what is there, and what to do. */
export const unreadable = (file: string, expected: string, found: string): DecoderError =>
  new DecoderError(
    "unsupported-model",
    `${file}: expected ${expected}, found ${found}; kvfold cannot read this graph, so fold the Hugging Face checkpoint it was made from`,
  );

const describeNode = ({ operator, name, outputs }: GraphNode): string =>
  `${operator} (node ${name || `that makes ${outputs.find((output) => output !== "")}`})`;

/** The operator that makes a value, if it is one of these. */
export function nodeOf(
  graph: ExportedGraph,
  value: string,
  ...operators: readonly string[]
): GraphNode | undefined {
  const { node, output } = graph.term(value);
  return node !== undefined && output === 0 && operators.includes(node.operator) ? node : undefined;
}

/** Whether two names stand for one value. */
export const isSame = (graph: ExportedGraph, a: string, b: string): boolean =>
  graph.term(a).value === graph.term(b).value;

/** Whether a value is an input of the graph. */
export const isInput = (graph: ExportedGraph, value: string): boolean =>
  graph.view.inputs.some(({ name }) => name === graph.term(value).value);

/** The inputs of a node of two, in both orders where the operator does not care; none without a node. */
export function bothOrders(node: GraphNode | undefined): readonly (readonly [string, string])[] {
  if (node === undefined) return [];
  const { operator, inputs } = node;
  const [first, second] = [inputs[0]!, inputs[1]!];
  const asIs = [first, second] as const;
  return operator === "Add" || operator === "Mul" ? [asIs, [second, first]] : [asIs];
}

/** The order that Transpose brings axes to, as in `0,2,1,3`. */
export const axesOf = ({ attributes }: GraphNode): string =>
  Array.isArray(attributes.perm) ? attributes.perm.join() : "";
