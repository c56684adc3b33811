import { type DataType, dataTypeCode, type GraphBuilder, type GraphNode, type GraphView } from "@kvfold/onnx";
import type { GradientEmitter } from "./gradient-emitter.js";

/** Gives gradients the forward values that they read. `near` is a gradient that is there when the value is needed. */
export type ReadForward = (value: string, near: string) => string;

/** All forward values are kept until the gradients have read them. */
export const keptValues: ReadForward = (value) => value;

export declare namespace recomputedValues {
  interface Options {
    readonly graph: GraphBuilder;
    readonly view: GraphView;
    readonly e: GradientEmitter;
    readonly root: string;
    /** Values that are kept. */
    readonly kept: readonly string[];
    /** Element types of kept values and of the graph's inputs. */
    readonly types: ReadonlyMap<string, DataType>;
  }
}

/**
 * Computes forward values again from those that are kept and from the graph's inputs. What the graph's initializers alone
 * determine is not computed again, nor are nodes with graphs inside them.
 *
 * A runtime may see that a value is computed twice and keep the first, or compute it again too early. So what the second
 * computation starts from is added to a zero that is made of a gradient: it starts when that gradient is there.
 */
export function recomputedValues({
  graph,
  view,
  e,
  root,
  kept,
  types,
}: recomputedValues.Options): ReadForward {
  const sources = new Set([...kept, ...view.inputs.map(({ name }) => name)]);
  const producers = new Map(view.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const again = new Map<string, string>();
  const read: ReadForward = (value, near) => {
    const known = again.get(value);
    if (known !== undefined) return known;
    const found = sources.has(value) ? emitLater(e, value, types.get(value), near) : emitAgain(value, near);
    again.set(value, found);
    return found;
  };
  const emitAgain: ReadForward = (value, near) => {
    const node = producers.get(value);
    if (node === undefined || hasGraph(node)) return value;
    const inputs = node.inputs.map((name) => read(name, near));
    if (inputs.every((name, index) => name === node.inputs[index])) return value;
    const copies = node.outputs.map((name) => (name === "" ? "" : `${root}/again/${name}`));
    const name = `${root}/again/${node.outputs.find((output) => output !== "")}`;
    graph.nodeWithOutputs(node.operator, inputs, copies, { ...node, name });
    for (const [index, output] of node.outputs.entries()) again.set(output, copies[index]!);
    return again.get(value)!;
  };
  return read;
}

const hasGraph = ({ attributes }: GraphNode): boolean =>
  Object.values(attributes).some((value) => typeof value === "object" && "graph" in value);

/** Types that a zero can be added to. */
const numbers: readonly (DataType | undefined)[] = ["float16", "float32", "float64", "int32", "int64"];

/** `value`, but not before `near` is there. */
function emitLater(e: GradientEmitter, value: string, type: DataType | undefined, near: string): string {
  if (!numbers.includes(type)) return value;
  const none = e.node("Slice", [e.reshape(near, e.ints([-1])), e.ints([0]), e.ints([0])]);
  const zero = e.node("ReduceSum", [none], { keepdims: 0 });
  return e.add(value, e.node("Cast", [zero], { to: dataTypeCode(type!) }));
}
