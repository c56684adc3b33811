import type { GraphBuilder } from "@kvfold/onnx";
import type { GradientEmitter } from "./gradient-emitter.js";
import type { ValueShape } from "./reduce-to.js";
import { sizesOf } from "./shapes/dims.js";
import type { Shapes } from "./shapes/infer-shapes.js";

/** Shapes of forward values, for the gradients. */
export interface ForwardShapes {
  readonly shape: (value: string) => ValueShape;
  /** Nodes that read a forward value for its shape alone, by the value that they give (int64). */
  readonly emitted: ReadonlyMap<string, string>;
}

/**
 * Shapes as constants where they are known, else by a Shape node on the forward value: a vector of a few numbers is
 * then kept for the backward part instead of the value.
 */
export function forwardShapes(
  graph: GraphBuilder,
  e: GradientEmitter,
  root: string,
  { dims }: Shapes,
): ForwardShapes {
  const byValue = new Map<string, string>();
  const emitted = new Map<string, string>();
  const emit = (value: string): string => {
    const known = byValue.get(value);
    if (known !== undefined) return known;
    const name = `${root}/shape/${value}`;
    graph.nodeWithOutputs("Shape", [value], [name], { name });
    byValue.set(value, name);
    emitted.set(name, value);
    return name;
  };
  return {
    emitted,
    shape(value) {
      const sizes = sizesOf(dims(value));
      return { dims: dims(value), emit: () => (sizes === undefined ? emit(value) : e.ints(sizes)) };
    },
  };
}
