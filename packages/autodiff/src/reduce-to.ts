import type { GradientEmitter } from "./gradient-emitter.js";
import type { Dim, Dims } from "./shapes/dims.js";

/** The dimensions of a value, as far as they are known, and what gives them when the graph runs. */
export interface ValueShape {
  readonly dims: Dims;
  /** An int64 vector. */
  readonly emit: () => string;
}

/**
 * The transpose of a broadcast: sums a gradient with dimensions `from` over the dimensions along which a value was repeated.
 * Where sizes are not known before the graph runs, it finds these dimensions when it does.
 */
export function reduceTo(e: GradientEmitter, gradient: string, from: Dims, to: ValueShape): string {
  const axes = repeatedAxes(from, to.dims);
  if (axes === undefined) return reduceAtRunTime(e, gradient, to.emit());
  if (axes.length === 0) return gradient;
  const sum = e.sum(gradient, axes);
  return from!.length === to.dims!.length ? sum : e.reshape(sum, to.emit());
}

/** Axes of `from` along which `to` was repeated; `undefined` where that is not known. */
function repeatedAxes(from: Dims, to: Dims): readonly number[] | undefined {
  if (from === undefined || to === undefined) return undefined;
  const added = from.length - to.length;
  const repeats = from.map((dim, axis) => axis < added || isRepeated(dim, to[axis - added]));
  if (repeats.includes(undefined)) return undefined;
  return repeats.flatMap((repeat, axis) => (repeat === true ? [axis] : []));
}

function isRepeated(from: Dim, to: Dim): boolean | undefined {
  if (from === 1 || (to !== undefined && from === to)) return false;
  if (to === 1) return true;
  return typeof to === "number" ? false : undefined;
}

function reduceAtRunTime(e: GradientEmitter, gradient: string, target: string): string {
  const shape = e.node("Shape", [gradient]);
  const added = e.sub(e.node("Size", [shape]), e.node("Size", [target]));
  const ones = e.node("Expand", [e.ints([1]), e.reshape(added, e.ints([1]))]);
  const aligned = e.node("Concat", [ones, target], { axis: 0 });
  const differs = e.node("Not", [e.node("Equal", [shape, aligned])]);
  const axes = e.reshape(e.node("NonZero", [differs]), e.ints([-1]));
  const sum = e.node("ReduceSum", [gradient, axes], { keepdims: 1, noop_with_empty_axes: 1 });
  return e.reshape(sum, target);
}
