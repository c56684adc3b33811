/** Activation functions of feed-forward layers, under the names of Hugging Face configs. */
export type Activation = "silu" | "gelu_pytorch_tanh" | "gelu";

/** Where `config.json` keeps a number: the first of these fields that is present. */
export type ConfigField = readonly string[];

/** Names of the config fields a family uses; a missing list means that the value follows from others. */
export interface ConfigFields {
  readonly hiddenSize: ConfigField;
  readonly layers: ConfigField;
  readonly heads: ConfigField;
  readonly kvHeads?: ConfigField;
  readonly headDim?: ConfigField;
  readonly intermediateSize?: ConfigField;
  readonly maxPositions: ConfigField;
  readonly normEpsilon: ConfigField;
  readonly activation?: ConfigField;
}

/** How a checkpoint stores the attention projections. */
export type AttentionTensors =
  | { readonly query: string; readonly key: string; readonly value: string; readonly output: string }
  | {
      /** One tensor `[H * 3 * d, D]` whose rows are query, key and value of head 0, then of head 1, … */
      readonly queryKeyValuePerHead: string;
      readonly output: string;
    };

/** Names of a checkpoint's modules, `{layer}` standing for the block's index; `.weight` and `.bias` follow. */
export interface ModuleNames {
  /** Checkpoints of the same family may or may not carry one of these in front of every name. */
  readonly prefixes: readonly string[];
  readonly embedding: string;
  readonly embeddingNorm?: string;
  readonly attentionNorm: string;
  readonly attention: AttentionTensors;
  readonly mlpNorm: string;
  readonly mlp: { readonly gate?: string; readonly up: string; readonly down: string };
  readonly finalNorm: string;
  readonly head: string;
}

/** A model family as data: all that the converter knows of it. */
export interface Family {
  readonly name: string;
  /** `model_type` in config.json. */
  readonly modelType: string;
  readonly norm: "rms" | "layer";
  readonly positions: "rope" | "alibi";
  readonly activation: Activation;
  /** What Hugging Face assumes when config.json does not say `tie_word_embeddings`. */
  readonly tiedByDefault: boolean;
  readonly config: ConfigFields;
  readonly modules: ModuleNames;
  /** Config switches that give projections biases; families without them cannot store new biases in a checkpoint. */
  readonly biasOptions?: { readonly attention: string; readonly mlp: string };
  /** Reads the sliding window off the config; absent for families that have none. */
  readonly slidingWindow?: (config: Readonly<Record<string, unknown>>) => number | undefined;
  /** Plain words for what the family's checkpoints may hold that cannot be folded, or `undefined`. */
  readonly unsupported?: (config: Readonly<Record<string, unknown>>) => string | undefined;
}
