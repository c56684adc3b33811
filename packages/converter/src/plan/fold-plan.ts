import type { AttentionKind } from "@kvfold/decoder/graph";
import type { Tap } from "../graph/taps.js";
import type { Heal } from "../methods/heal.js";
import type { Chunk } from "./chunk.js";
import type { StoredDtype } from "./stored-dtype.js";

/** What is written: an ONNX decoder for runtimes, a Hugging Face checkpoint for plain GQA code, a GGUF file for llama.cpp. */
export type Format = "onnx" | "hf" | "gguf";

/** Bits of each number of a quantised cache. */
export type CacheBits = 8 | 4;

/** Whether projections may get biases that the input lacks; some checkpoint formats have no place for them. */
export type BiasPolicy = "free" | "none";

/** How one side of one layer's cache is folded. */
export interface SidePlan {
  /** `s`, input KV heads that share one folded head. */
  readonly span: number;
  /** `c = Hkv / s`, folded heads. */
  readonly heads: number;
  /** `r`, size of a folded head. */
  readonly rank: number;
}

/** How one layer's cache is folded. */
export interface LayerPlan {
  readonly keys: SidePlan;
  readonly values: SidePlan;
}

/**
 * What the errors of keys and values are weighed by: what they do to the layer's output, or to the loss of the model.
 */
export type Metric = "output" | "loss";

/** What a fold will do, as data: printable, reviewable, serialisable. */
export interface FoldPlan {
  readonly family: string;
  readonly method: string;
  /** Share of the cache that was asked for, e.g. `1/4`. */
  readonly keep: string;
  /** Share of the cache that `layers` keep, 0 to 1: not quite `keep` where ranks would not be whole numbers. */
  readonly achieved: number;
  /** How the ranks that `keep` leaves are shared out among the layers. */
  readonly budget: string;
  /**
   * Whether `layers` are what the budget gives. A budget that looks at the model starts from uniform layers, which
   * `allocateBudget` settles; until then the plan cannot be folded.
   */
  readonly settled: boolean;
  readonly layers: readonly LayerPlan[];
  readonly heal: Heal;
  /** For methods that weigh errors: by what, where it is not the layer's output. */
  readonly metric?: Metric;
  /** What a user should know of the plan. */
  readonly notices: readonly string[];
  readonly attention: AttentionKind;
  /** For methods with a joint latent: the chunks that keys are turned in. */
  readonly chunk?: Chunk;
  /** Positions that the moments of rotated keys are spread over; those of the calibration windows alone without it. */
  readonly context?: number;
  /** Activations whose moments are measured; empty for methods without calibration. */
  readonly taps: readonly Tap[];
  readonly formats: readonly Format[];
  readonly bias: BiasPolicy;
  /**
   * Graphs and GGUF files that are written, one in each dtype that the format has; a checkpoint is in the first of them that
   * holds floats.
   */
  readonly dtypes: readonly StoredDtype[];
  /** Longest context of the output, in tokens. */
  readonly maxPositions: number;
  /** Bits of caches that have a graph of their own beside the others, the most first; absent where there is none. */
  readonly cacheBits?: readonly CacheBits[];
  readonly seed: number;
  /** Bytes of the KV cache per token, all layers, in the first of `dtypes`. */
  readonly cacheBytesPerToken: { readonly before: number; readonly after: number };
}
