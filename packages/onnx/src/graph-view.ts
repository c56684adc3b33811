import type { DataType } from "./data-type.js";
import type { ExternalLocation } from "./external-location.js";
import type { TensorValue } from "./tensor-value.js";

/** A float attribute. A bare number is an int attribute, so floats say that they are. */
export interface FloatAttribute {
  readonly float: number;
}

/** A list of floats. A bare list of numbers is a list of ints. */
export interface FloatsAttribute {
  readonly floats: readonly number[];
}

/** A graph inside a node, such as a branch of If. */
export interface GraphAttribute {
  readonly graph: Subgraph;
}

/** Value of a node attribute: int, float, string, a list of ints or floats, a tensor, or a graph. */
export type AttributeValue =
  | number
  | FloatAttribute
  | string
  | readonly number[]
  | FloatsAttribute
  | TensorValue
  | GraphAttribute;

/** A node of a graph. */
export interface GraphNode {
  readonly operator: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** Dimensions that a graph declares: a symbolic one is a string, an unknown one `"?"`; `undefined` where the rank is open. */
export type ValueDims = readonly (number | string)[] | undefined;

/** An input or output of a graph. */
export interface GraphValue {
  readonly name: string;
  /** `undefined` for types that {@link DataType} lacks. */
  readonly type: DataType | undefined;
  readonly dims: ValueDims;
}

/**
 * An initializer: its bytes are in the model (`value`) or in an external file (`location`). Neither is there for types
 * that {@link DataType} lacks, and for empty tensors.
 */
export interface Initializer {
  readonly name: string;
  readonly type: DataType | undefined;
  readonly dims: readonly number[];
  readonly location: ExternalLocation | undefined;
  readonly value: TensorValue | undefined;
}

/** Nodes in execution order, and what goes in and out. */
export interface GraphBody {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
  readonly initializers: ReadonlyMap<string, Initializer>;
}

/** A graph inside a node; it may use the values of the graphs around it. */
export interface Subgraph extends GraphBody {
  readonly name: string;
}

/** What kvfold wants to know of an ONNX file. */
export interface GraphView extends GraphBody {
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  /** Free-form metadata of the model. */
  readonly metadata: ReadonlyMap<string, string>;
}
