import { type Results, type Session, Tensor } from "@kvfold/runtime";
import type { Parameter } from "./adapters.js";

export const floatsOf = (results: Results, name: string): Float32Array => results[name]!.data as Float32Array;

/** Hidden states `[1, S, D]`. */
export const rowsTensor = (states: Float32Array, width: number): Tensor =>
  new Tensor("float32", states, [1, states.length / width, width]);

/** Parameters as the feeds of a graph. */
export const parameterFeeds = (parameters: readonly Parameter[]): Record<string, Tensor> =>
  Object.fromEntries(parameters.map(({ name, values, dims }) => [name, new Tensor("float32", values, dims)]));

/** Those of `feeds` that a session takes: a backward graph has only the inputs that it reads. */
export const feedsOf = (
  { inputs }: Session,
  feeds: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> => Object.fromEntries(inputs.map(({ name }) => [name, feeds[name]!]));
