import type { GraphNode } from "@kvfold/onnx";
import type { FloatType } from "./float-type.js";
import type { GradientEmitter } from "./gradient-emitter.js";
import type { Dim, Dims } from "./shapes/dims.js";

/** Writes the gradient of one input of a node and returns its name. It has the dimensions and the type of the input. */
export type EmitGradient = () => string;

/**
 * The vector-Jacobian products of an operator: for each input what writes its gradient from those of the outputs, or
 * `undefined` where it has none. Only what is needed is called, so values of the forward graph are read inside it.
 */
export type GradientRule = (node: DifferentiatedNode) => readonly (EmitGradient | undefined)[];

/** A node that gradients go through. */
export interface DifferentiatedNode {
  readonly node: GraphNode;
  /** Element type of its differentiable inputs. */
  readonly type: FloatType;
  /** Writes nodes named after this one. */
  readonly e: GradientEmitter;
  /** The gradient of an output, zeros where nothing depends on it. */
  readonly upstream: (output?: number) => string;
  /** Whether anything depends on an output. */
  readonly hasUpstream: (output: number) => boolean;
  /** Whether a node has an input: optional ones may be left out. */
  readonly hasInput: (input: number) => boolean;
  /** The value of an input, kept or computed again. */
  readonly input: (input: number) => string;
  /** The value of an output, kept or computed again. */
  readonly output: (output?: number) => string;
  readonly inputDims: (input: number) => Dims;
  readonly outputDims: (output?: number) => Dims;
  /** The numbers of an int64 input, as far as they are known before the graph runs. */
  readonly inputInts: (input: number) => readonly Dim[] | undefined;
  /** An int64 vector: the dimensions of an input. The value itself is not kept for it. */
  readonly inputShape: (input: number) => string;
  /** An int64 vector: the dimensions of an output. */
  readonly outputShape: (output?: number) => string;
  /**
   * Sums a gradient over the dimensions along which an input was broadcast. It has the dimensions of output 0 unless given.
   */
  readonly reduceTo: (gradient: string, input: number, dims?: Dims) => string;
  /** Zeros with the dimensions of an input. */
  readonly zeros: (input: number) => string;
  /** Throws the error of a use that has no gradient; the reason ends a sentence that names the node. */
  readonly refuse: (reason: string) => never;
}
