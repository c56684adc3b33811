import { forwardAndBackward } from "@kvfold/autodiff";
import {
  type BlockWindow,
  emitAttentionHalf,
  emitMlpHalf,
  HIDDEN_IN,
  HIDDEN_OUT,
  type MemoryModel,
  windowContext,
  windowGraph,
} from "@kvfold/decoder/graph";
import { extendModel, extractModel } from "@kvfold/onnx";
import { adaptedScope } from "./adapted-scope.js";
import { type Adapter, parametersOf } from "./adapters.js";

/** Before the name of a value: its gradient. */
export const GRADIENT = "grad.";

/** Output of a packed backward graph: the gradients of all parameters, one after the other, `[n]`. */
export const PARAMETER_GRADIENTS = "parameter_gradients";

/** How the graph of a block is written. */
export interface BlockGraphOptions {
  readonly adapters?: readonly Adapter[];
  /** What the additions are multiplied by. */
  readonly scale?: number;
}

/** A block with adapters: `hidden_in` and the adapters' parameters to `hidden_out`. */
export const forwardGraph = (window: BlockWindow, options: BlockGraphOptions = {}): MemoryModel =>
  namedForwardGraph(window, options).graph;

/** What a layer caches, or would cache before the rotation: `[S, Hkv * d]` each, all KV heads side by side. */
export type CacheValue = "keys" | "keysBeforeRope" | "values";

/** A block, and the names of its cache's values in the graph. */
export interface NamedGraph {
  readonly graph: MemoryModel;
  readonly names: Readonly<Record<CacheValue, string>>;
}

/** The same graph as `forwardGraph`, with names. */
export function namedForwardGraph(
  window: BlockWindow,
  { adapters = [], scale = 1 }: BlockGraphOptions = {},
): NamedGraph {
  const { config, weights, length, batch } = window;
  let names: NamedGraph["names"] | undefined;
  const graph = windowGraph(
    config,
    length,
    ({ e, input, output }) => {
      const hidden = input(HIDDEN_IN);
      for (const { name, dims } of parametersOf(adapters)) e.graph.input(name, "float32", dims);
      const context = windowContext(e, window);
      const block = e.into(adaptedScope(e.graph, adapters, scale));
      const half = emitAttentionHalf(block, hidden, weights, context);
      names = half.attention;
      output(HIDDEN_OUT, emitMlpHalf(block, { hidden, residual: half.attentionResidual }, weights));
    },
    batch,
  );
  return { graph, names: names! };
}

/**
 * The gradients of that block: its inputs and `grad.hidden_out` to `grad.<input>` of `inputs`. What is between is computed
 * again.
 */
export function backwardGraph(forward: MemoryModel, inputs: readonly string[]): MemoryModel {
  const { backward } = forwardAndBackward(forward.bytes, { outputs: [HIDDEN_OUT], inputs, kept: [] });
  return { ...forward, bytes: backward };
}

/**
 * The same with the gradients of all parameters in one output: each of some dozens of small ones would be waited for on a GPU.
 *
 * @param goesOn - Whether `grad.hidden_in` is wanted, too.
 */
export function packedBackwardGraph(
  window: BlockWindow,
  options: BlockGraphOptions,
  goesOn: boolean,
): MemoryModel {
  const parameters = parametersOf(options.adapters ?? []).map(({ name }) => name);
  const { bytes, ...rest } = backwardGraph(forwardGraph(window, options), [
    ...(goesOn ? [HIDDEN_IN] : []),
    ...parameters,
  ]);
  const graph = extendModel(bytes);
  const flat = parameters.map((name) =>
    graph.node("Reshape", [GRADIENT + name, graph.int64([-1])], { name: `/packed/${name}/Reshape` }),
  );
  graph.nodeWithOutputs("Concat", flat, [PARAMETER_GRADIENTS], {
    name: "/packed/Concat",
    attributes: { axis: 0 },
  });
  graph.output(PARAMETER_GRADIENTS, "float32", ["parameters"]);
  const { length, batch = 1, config } = window;
  const below = {
    name: GRADIENT + HIDDEN_IN,
    type: "float32" as const,
    dims: [batch, length, config.shape.hiddenSize],
  };
  const outputs = [
    { name: PARAMETER_GRADIENTS, type: "float32" as const, dims: ["parameters"] },
    ...(goesOn ? [below] : []),
  ];
  return { ...rest, bytes: extractModel(graph.toBytes(), { outputs }) };
}
