import type { DataType } from "./data-type.js";
import { nodeProto } from "./graph-proto.js";
import type { AttributeValue, GraphAttribute, GraphNode, GraphValue, ValueDims } from "./graph-view.js";
import { OnnxError } from "./onnx-error.js";
import type { TensorStream } from "./tensor-stream.js";
import type { TensorValue } from "./tensor-value.js";

/** Writes into one graph, a node at a time, in execution order. Values are named by strings, as in ONNX. */
export interface GraphScope extends GraphTensors {
  /**
   * Declares a graph input; a string dimension is symbolic, `"?"` unknown, and without `dims` the rank is open. Returns
   * `name`.
   */
  input(name: string, type: DataType, dims?: ValueDims): string;
  /** Declares an existing value as a graph output, its dimensions as those of an input. Returns `name`. */
  output(name: string, type: DataType, dims?: ValueDims): string;
  /** Adds a node with one output and returns that output's name. An empty input name is an absent optional input. */
  node(operator: string, inputs: readonly string[], options: NodeOptions): string;
  /** Adds a node whose outputs get the given names; an empty one is an absent optional output. */
  nodeWithOutputs(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[],
    options: NodeOptions,
  ): readonly string[];
  /**
   * Starts a graph for an attribute of a later node, such as a branch of If. It may use what this graph has by then; this
   * graph sees none of its values. Names are unique over the model, whose outermost graph keeps weights and constants.
   */
  branch(name: string): GraphBranch;
}

/** Adds tensors to a model. */
export interface GraphTensors {
  /**
   * Adds an initializer whose bytes go to the weight store, and returns `name`. A function that makes the tensor is called
   * only where no other graph over the same store has stored it.
   */
  weight(name: string, value: TensorValue | (() => TensorValue)): string;
  /**
   * Adds an initializer whose bytes the weight store asks for when it writes them, and of which `whole` makes all at once
   * where the store has to hold them. Returns `name`.
   */
  streamedWeight(name: string, stream: TensorStream, whole: () => TensorValue): string;
  /** A small int64 tensor inside the model, a vector by default; those of equal values and dimensions are shared. */
  int64(values: readonly number[], dims?: readonly number[]): string;
  /**
   * A small tensor inside the model under a name of its own. Adding an equal one again returns the first.
   *
   * @throws {OnnxError} `invalid-graph` when the name has another value.
   */
  constant(name: string, value: TensorValue): string;
}

/** Builds a graph inside a node. */
export interface GraphBranch extends GraphScope {
  /** The graph so far, as a node's attribute. */
  toAttribute(): GraphAttribute;
}

/** What a node needs besides its operator and inputs. */
export interface NodeOptions {
  /** Unique name; the first output is called `<name>/output_0` unless named otherwise. */
  readonly name: string;
  /** Operator domain: `""` is ai.onnx (default), `"com.microsoft"` ONNX Runtime's own operators. */
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

/** Where the finished parts of a graph go. */
export interface GraphParts {
  /** Checks a node, and returns what adds it. */
  readonly prepareNode: (node: GraphNode) => () => void;
  readonly addInput: (value: GraphValue & { readonly type: DataType }) => void;
  readonly addOutput: (value: GraphValue & { readonly type: DataType }) => void;
}

/** The names of a model, which all of its graphs share. */
export interface ModelNames {
  readonly graphName: string;
  readonly values: Set<string>;
  readonly nodes: Set<string>;
}

/** @throws {OnnxError} `invalid-graph` when the name is taken. */
export function defineName({ graphName, ...taken }: ModelNames, kind: "value" | "node", name: string): void {
  const names = kind === "value" ? taken.values : taken.nodes;
  if (names.has(name))
    throw new OnnxError("invalid-graph", `graph ${graphName}: ${kind} ${name} is defined twice`);
  names.add(name);
}

/** A scope that hands its parts on; `isKnown` says which values it has from outside. */
export function createScope(
  names: ModelNames,
  tensors: GraphTensors,
  parts: GraphParts,
  isKnown: (name: string) => boolean,
): GraphScope {
  const own = new Set<string>();
  const isVisible = (name: string) => own.has(name) || isKnown(name);
  const define = (name: string) => {
    defineName(names, "value", name);
    own.add(name);
  };
  const require = (name: string, user: string): void => {
    if (name === "" || isVisible(name)) return;
    throw new OnnxError(
      "invalid-graph",
      `graph ${names.graphName}: ${user} uses ${name}, which nothing before it defines`,
    );
  };
  const nodeWithOutputs: GraphScope["nodeWithOutputs"] = (operator, inputs, outputs, options) => {
    const { name, domain = "", attributes = {} } = options;
    const add = parts.prepareNode({ operator, domain, name, inputs, outputs, attributes });
    defineName(names, "node", name);
    for (const input of inputs) require(input, name);
    for (const output of outputs) if (output !== "") define(output);
    add();
    return outputs;
  };
  return {
    ...tensors,
    input(name, type, dims) {
      define(name);
      parts.addInput({ name, type, dims });
      return name;
    },
    output(name, type, dims) {
      require(name, "the output list");
      parts.addOutput({ name, type, dims });
      return name;
    },
    node: (operator, inputs, node) => nodeWithOutputs(operator, inputs, [`${node.name}/output_0`], node)[0]!,
    nodeWithOutputs,
    branch: (name) => createBranch(name, names, tensors, isVisible),
  };
}

function createBranch(
  name: string,
  names: ModelNames,
  tensors: GraphTensors,
  isKnown: (name: string) => boolean,
): GraphBranch {
  const [nodes, inputs, outputs]: [GraphNode[], GraphValue[], GraphValue[]] = [[], [], []];
  const parts: GraphParts = {
    prepareNode(node) {
      nodeProto(name, node);
      return () => nodes.push(node);
    },
    addInput: (value) => inputs.push(value),
    addOutput: (value) => outputs.push(value),
  };
  return {
    ...createScope(names, tensors, parts, isKnown),
    toAttribute: () => ({
      graph: {
        name,
        nodes: [...nodes],
        inputs: [...inputs],
        outputs: [...outputs],
        initializers: new Map(),
      },
    }),
  };
}
