import type { BlockSpec, LinearSource, NormSource } from "./block-spec.js";
import type { ModelShape } from "./model-shape.js";

/** A whole decoder as data: what it computes, and where a checkpoint keeps its weights. */
export interface ModelSpec {
  readonly shape: ModelShape;
  readonly embedding: EmbeddingSource;
  /** `[L]`. */
  readonly blocks: readonly BlockSpec[];
  readonly head: HeadSource;
  /** What the family's config can say of a checkpoint that is written: see `StandardFields`. */
  readonly standard: StandardFields;
  /** Checkpoints may or may not carry one of these in front of every name; `""` is tried where the list is empty. */
  readonly prefixes: readonly string[];
  /** Tensors that checkpoints may hold although the model does not use them, e.g. causal masks that GPT-2 saves. */
  readonly ignoredTensors: RegExp | undefined;
}

/** What lies before the first block. */
export interface EmbeddingSource {
  /** Module of the table `[V, width]`. */
  readonly tokens: string;
  /** Width of the table; hidden size unless `projection` widens it. */
  readonly width: number;
  /** What looked-up rows are multiplied by. */
  readonly scale: number | undefined;
  readonly norm: NormSource | undefined;
  /** Learned positions `[rows, D]`: row `position + offset` is added. */
  readonly positions: { readonly name: string; readonly offset: number; readonly rows: number } | undefined;
  readonly projection: LinearSource | undefined;
}

/** What lies after the last block. */
export interface HeadSource {
  readonly norm: NormSource | undefined;
  readonly projection: LinearSource | undefined;
  /** Module of the output table `[V, width]`; a tied head reads the embedding's instead. */
  readonly table: string;
  readonly tied: boolean;
  readonly bias: boolean;
  /** Logits become `cap * tanh(logit / cap)`. */
  readonly softCap: number | undefined;
}

/** Names of config fields that describe a folded model of the same family. */
export interface StandardFields {
  /** Field for the number of KV heads; absent in families that have as many as query heads. */
  readonly kvHeads: string | undefined;
  /** Switches that give a layer's projections biases; without them a checkpoint has no place for new ones. */
  readonly biases: { readonly attention: string; readonly mlp: string } | undefined;
}
