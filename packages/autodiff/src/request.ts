import { type GraphValue, type GraphView, type Initializer, readModel, type ValueDims } from "@kvfold/onnx";
import { type ActivePart, findActivePart, floatTypes } from "./active-part.js";
import { AutodiffError } from "./autodiff-error.js";
import { type FloatType, isFloat } from "./float-type.js";
import type { GradientRule } from "./gradient-rule.js";
import { gradientRules } from "./rules/index.js";
import { countOf, valueDims } from "./shapes/dims.js";
import { declaredDims, inferShapes, type Shapes } from "./shapes/infer-shapes.js";

/** What is differentiated by what. */
export interface GradientOptions {
  /** Names of outputs of the graph. */
  readonly outputs: readonly string[];
  /** Names of inputs or initializers of the graph, or of values that its nodes compute. */
  readonly inputs: readonly string[];
  /**
   * Outputs whose gradient is an input, `grad.<output>`: by default all but those that are known to be a single number,
   * whose gradient is 1.
   */
  readonly upstream?: readonly string[];
  /**
   * Forward values that gradients may read. All others are computed again from these and from the graph's inputs. By
   * default every value is kept that a gradient reads.
   */
  readonly kept?: readonly string[];
  /** Rules for further operators, or others for known ones: by `MatMul`, `com.microsoft:Gelu`. */
  readonly rules?: Readonly<Record<string, GradientRule>>;
  /** Before the names of gradients: `grad.` unless given. */
  readonly prefix?: string;
}

/** An input or output with a float type. */
export interface FloatValue {
  readonly name: string;
  readonly type: FloatType;
  readonly dims: ValueDims;
}

/** Options that fit their graph. */
export interface GradientRequest {
  readonly view: GraphView;
  readonly opset: number;
  readonly inputs: readonly FloatValue[];
  readonly outputs: readonly FloatValue[];
  readonly upstream: ReadonlySet<string>;
  readonly kept: readonly string[] | undefined;
  readonly rules: Readonly<Record<string, GradientRule>>;
  readonly prefix: string;
  readonly shapes: Shapes;
  readonly active: ActivePart;
}

/** Versions of the default operator set that the rules know. */
const [OLDEST, NEWEST] = [16, 23];

/** @throws {AutodiffError} `invalid-request` for options that do not fit the model, `unsupported-opset`. */
export function readRequest(caller: string, model: Uint8Array, options: GradientOptions): GradientRequest {
  const { rules = {}, prefix = "grad.", kept } = options;
  const view = readModel(model);
  const opset = requireOpset(caller, view);
  const shapes = inferShapes(view);
  const inputs = requireSome(caller, "inputs", options.inputs).map((name) =>
    requireInput(caller, view, shapes, name),
  );
  const outputs = requireSome(caller, "outputs", options.outputs).map((name) =>
    requireOutput(caller, view, name),
  );
  requireKept(caller, view, kept ?? []);
  return {
    view,
    opset,
    inputs,
    outputs,
    kept,
    prefix,
    upstream: new Set(requireUpstream(caller, outputs, options.upstream)),
    rules: { ...gradientRules, ...rules },
    shapes,
    active: findActivePart(
      view,
      new Map(inputs.map(({ name, type }) => [name, type])),
      options.outputs,
      (operator) => Object.hasOwn(rules, operator),
    ),
  };
}

function fail(caller: string, message: string): never {
  throw new AutodiffError("invalid-request", `${caller}: ${message}`);
}

function requireOpset(caller: string, { opsets }: GraphView): number {
  const opset = opsets[""] ?? opsets["ai.onnx"];
  if (opset !== undefined && opset >= OLDEST && opset <= NEWEST) return opset;
  throw new AutodiffError(
    "unsupported-opset",
    `${caller}: expected a model of operator set ${OLDEST} to ${NEWEST}, found ${opset ?? "none"}; convert it (onnx.version_converter)`,
  );
}

function requireSome(caller: string, option: string, names: readonly string[]): readonly string[] {
  if (names.length === 0) fail(caller, `expected ${option} to name at least one value, found none`);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined
    ? names
    : fail(caller, `expected ${option} to name a value once, found ${shown(twice)} twice`);
}

const shown = (name: string): string => JSON.stringify(name);

function requireInput(caller: string, view: GraphView, shapes: Shapes, name: string): FloatValue {
  const { inputs, initializers } = view;
  const value: GraphValue | Initializer | undefined =
    inputs.find((input) => input.name === name) ??
    initializers.get(name) ??
    computedValue(view, shapes, name);
  if (value === undefined)
    fail(
      caller,
      `expected inputs to name inputs, initializers or computed values of the graph, found none called ${shown(name)}; its inputs are ${list(inputs)}`,
    );
  return requireFloat(caller, "input", value);
}

/** A value that a node of the graph computes. */
function computedValue(view: GraphView, shapes: Shapes, name: string): GraphValue | undefined {
  if (!view.nodes.some(({ outputs }) => outputs.includes(name))) return undefined;
  return { name, type: floatTypes(view).get(name), dims: valueDims(shapes.dims(name)) };
}

function requireOutput(caller: string, { outputs }: GraphView, name: string): FloatValue {
  const value = outputs.find((output) => output.name === name);
  if (value === undefined)
    fail(
      caller,
      `expected outputs to name outputs of the graph, found none called ${shown(name)}; they are ${list(outputs)}`,
    );
  return requireFloat(caller, "output", value);
}

const list = (values: readonly GraphValue[]): string => values.map(({ name }) => shown(name)).join(", ");

function requireFloat(
  caller: string,
  kind: string,
  { name, type, dims }: GraphValue | Initializer,
): FloatValue {
  if (isFloat(type)) return { name, type, dims };
  return fail(
    caller,
    `expected ${kind} ${shown(name)} to hold float16, float32 or float64, found ${type ?? "another type"}`,
  );
}

function requireKept(caller: string, { nodes }: GraphView, kept: readonly string[]): void {
  const values = new Set(nodes.flatMap((node) => node.outputs));
  const missing = kept.find((name) => !values.has(name));
  if (missing !== undefined)
    fail(
      caller,
      `expected kept to name values that nodes of the graph compute, found none called ${shown(missing)}`,
    );
}

function requireUpstream(
  caller: string,
  outputs: readonly FloatValue[],
  upstream: readonly string[] | undefined,
): readonly string[] {
  const isOne = ({ dims }: FloatValue) => countOf(declaredDims(dims)) === 1;
  const names = outputs.map(({ name }) => name);
  if (upstream === undefined) return outputs.filter((output) => !isOne(output)).map(({ name }) => name);
  const missing = upstream.find((name) => !names.includes(name));
  if (missing !== undefined)
    fail(caller, `expected upstream to name some of outputs, found ${shown(missing)}`);
  const open = outputs.find((output) => !isOne(output) && !upstream.includes(output.name));
  if (open !== undefined)
    fail(
      caller,
      `expected upstream to name output ${shown(open.name)}: only outputs that are declared as a single number can do without`,
    );
  return upstream;
}
