import { createGraphBuilder, type GraphBuilder, type ValueDims } from "@kvfold/onnx";
import { differentiate } from "../../src/index.js";
import { productByDifferences, relativeError, type TensorFunction } from "./central-differences.js";
import { randomNumbers } from "./random.js";
import { type Feed, type Numbers, openModel, runModel } from "./run-model.js";

type CaseType = "float32" | "float64";

/** Writes a node and returns the names of its outputs. */
export type EmitCase = (
  graph: GraphBuilder,
  inputs: readonly string[],
  type: CaseType,
) => string | readonly string[];

/** A use of an operator whose gradients are measured. */
export interface OperatorCase {
  readonly name: string;
  /** Dimensions of the inputs that it is differentiated by. */
  readonly inputs: readonly (readonly number[])[];
  /** Where their numbers lie, between -1 and 1 by default. */
  readonly range?: readonly [number, number];
  readonly emit: EmitCase;
  /** The same by definition, for an operator that ONNX Runtime has in float32 alone. */
  readonly definition?: EmitCase;
  /** What must be known of its inputs before the graph runs; by default nothing, not even their rank. */
  readonly needs?: "dims" | "rank";
  /** Version of the default operator set. */
  readonly opset?: number;
}

type Attributes = Parameters<GraphBuilder["node"]>[2]["attributes"];

/** A node of one output that reads the inputs of a case, then constants. */
export const nodeCase =
  (key: string, attributes: Attributes = {}, ...constants: readonly (readonly number[])[]): EmitCase =>
  (graph, inputs) => {
    const [operator, domain = ""] = key.split(":").toReversed() as [string, string?];
    const ints = constants.map((values) => graph.int64(values));
    return graph.node(operator, [...inputs, ...ints], { name: "node", domain, attributes });
  };

type Declare = (dims: readonly number[]) => ValueDims;
const known: Declare = (dims) => dims;
const unknown: Declare = (dims) => dims.map(() => "?");
const unranked: Declare = () => undefined;

function declarations(needs: OperatorCase["needs"]): readonly Declare[] {
  if (needs === "dims") return [known];
  return needs === "rank" ? [known, unknown] : [known, unknown, unranked];
}

interface CaseModel {
  readonly bytes: Uint8Array;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

function caseModel(
  { inputs, opset = 18 }: OperatorCase,
  emit: EmitCase,
  type: CaseType,
  declare: Declare,
): CaseModel {
  const graph = createGraphBuilder({ graphName: "case", opsets: { "": opset, "com.microsoft": 1 } });
  const names = inputs.map((dims, index) => graph.input(`x${index}`, type, declare(dims)));
  const outputs = [emit(graph, names, type)].flat();
  for (const output of outputs) graph.output(output, type);
  return { bytes: graph.toBytes(), inputs: names, outputs };
}

const named = (names: readonly string[], values: readonly Numbers[], type: CaseType): Record<string, Feed> =>
  Object.fromEntries(names.map((name, index) => [name, { type, ...values[index]! }]));

/**
 * Largest relative error of a case's gradients, with dimensions that are known before the graph runs and without, against
 * central differences of the operator, or of its definition, in float64.
 */
export async function gradientErrors(operatorCase: OperatorCase): Promise<readonly number[]> {
  const { emit, definition, inputs, range, needs } = operatorCase;
  const type: CaseType = definition === undefined ? "float64" : "float32";
  const reference = caseModel(operatorCase, definition ?? emit, "float64", known);
  const values = inputs.map((dims, index) => randomNumbers(dims, index + 1, range));
  const forward = await openModel(reference.bytes);
  const evaluate: TensorFunction = async (at) => {
    const found = await forward.run(named(reference.inputs, at, "float64"));
    return reference.outputs.map((name) => found[name]!);
  };
  try {
    const upstream = (await evaluate(values)).map(({ dims }, index) => randomNumbers(dims, index + 50));
    const expected: number[][] = [];
    for (const index of inputs.keys())
      expected.push(await productByDifferences(evaluate, values, index, upstream));
    const errors: number[] = [];
    for (const declare of declarations(needs))
      errors.push(
        ...(await errorsOf(caseModel(operatorCase, emit, type, declare), {
          type,
          values,
          upstream,
          expected,
        })),
      );
    return errors;
  } finally {
    await forward.release();
  }
}

interface Expectation {
  readonly type: CaseType;
  readonly values: readonly Numbers[];
  readonly upstream: readonly Numbers[];
  readonly expected: readonly (readonly number[])[];
}

async function errorsOf(
  { bytes, inputs, outputs }: CaseModel,
  { type, values, upstream, expected }: Expectation,
) {
  const gradients = differentiate(bytes, { outputs, inputs });
  const seeds = outputs.map((name) => `grad.${name}`);
  const feeds = { ...named(inputs, values, type), ...named(seeds, upstream, type) };
  const found = await runModel(gradients, feeds);
  return inputs.map((name, index) => {
    const { dims, data } = found[`grad.${name}`]!;
    if (dims.join() !== values[index]!.dims.join()) return Number.POSITIVE_INFINITY;
    return relativeError(data, expected[index]!);
  });
}

/** Truncation and rounding of the differences are below 1e-9; float32, where it is all there is, rounds by 6e-8, a few times. */
export const toleranceOf = ({ definition }: OperatorCase): number => (definition === undefined ? 1e-6 : 1e-5);
