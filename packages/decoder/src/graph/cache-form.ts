import type { DataType, GraphScope } from "@kvfold/onnx";
import type { CacheCoding } from "@kvfold/runtime";
import type { ModelConfig } from "../families/read-config.js";
import type { AttentionWeights, CacheShape } from "../model/decoder-weights.js";
import type { AttentionForm, Observe } from "./attention-values.js";
import type { Emitter } from "./emitter.js";
import type { Positions } from "./positions.js";

/** How a decoder graph takes in the cache of earlier tokens, and what it gives out. */
export interface CacheForm {
  readonly kind: AttentionForm;
  /** Declares the inputs beside the cache. */
  begin(root: Emitter, config: ModelConfig, maxPositions: number): DecoderStart;
  /** The tensors of a layer's cache. */
  tensors(attention: AttentionWeights): readonly CacheTensor[];
  /** Names of dimension 2 of the inputs and outputs of a layer's cache. */
  lengths(layer: number, attention: AttentionWeights): { readonly past: string; readonly present: string };
  /** Outputs are called `<present>.<layer>.<tensor>`. */
  readonly present: string;
  /** How the cache is quantised; absent where it is of the graph's float type. */
  readonly coding?: CacheCoding;
}

/** What the blocks of a decoder start from. */
export interface DecoderStart {
  readonly inputIds: string;
  readonly positions: Positions;
  /** Where the tokens of a layer stand, in forms whose layers keep different tokens; `positions` in others. */
  readonly positionsOf?: (layer: number, attention: AttentionWeights) => Positions;
  /** What a layer gives out besides its cache. */
  readonly observe?: (layer: number, attention: AttentionWeights) => LayerOutputs;
  /** The hidden states `[B, S, D]` that logits are wanted of. */
  readonly wanted: (hidden: string) => string;
}

/** How a layer gives out what policies see, and the outputs that it then has. */
export interface LayerOutputs {
  readonly observe: Observe;
  readonly outputs: readonly LayerOutput[];
}

/** An output that tells of a layer's last queries. */
export interface LayerOutput {
  readonly name: string;
  readonly dims: readonly (number | string)[];
  /** The graph's float type unless given. */
  readonly type?: DataType;
}

/** One tensor of a layer's cache, `[B, heads, T, size]`. */
export interface CacheTensor {
  /** `key`, `value` or `latent`, or what belongs to one of them. */
  readonly name: string;
  readonly shape: CacheShape;
  /** The graph's float type unless given. */
  readonly type?: DataType;
}

/** Declares an int64 input `[B, S]`. */
export const perTokenInput = (graph: GraphScope, name: string): string =>
  graph.input(name, "int64", ["batch_size", "sequence_length"]);
