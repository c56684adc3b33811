import type { GraphNode } from "@kvfold/onnx";

/** A value of a graph, and what makes it. */
export interface Term {
  /** Its name; that of a graph's input has no node. */
  readonly value: string;
  readonly node: GraphNode | undefined;
  /** Which output of the node it is. */
  readonly output: number;
}
