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
import { adaptedScope } from "./adapted-scope.js";
import { type Adapter, parametersOf } from "./adapters.js";

/** Before the name of a value: its gradient. */
export const GRADIENT = "grad.";

/** A block with adapters: `hidden_in` and the adapters' parameters to `hidden_out`. */
export const forwardGraph = (
  window: BlockWindow,
  adapters: readonly Adapter[] = [],
  scale = 1,
): MemoryModel => namedForwardGraph(window, adapters, scale).graph;

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
  adapters: readonly Adapter[] = [],
  scale = 1,
): NamedGraph {
  const { config, weights, length } = window;
  let names: NamedGraph["names"] | undefined;
  const graph = windowGraph(config, length, ({ e, input, output }) => {
    const hidden = input(HIDDEN_IN);
    for (const { name, dims } of parametersOf(adapters)) e.graph.input(name, "float32", dims);
    const context = windowContext(e, window);
    const block = e.into(adaptedScope(e.graph, adapters, scale));
    const half = emitAttentionHalf(block, hidden, weights, context);
    names = half.attention;
    output(HIDDEN_OUT, emitMlpHalf(block, { hidden, residual: half.attentionResidual }, weights));
  });
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
