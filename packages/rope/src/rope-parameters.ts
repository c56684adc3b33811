/** YaRN with every default filled in. */
export interface YarnScaling {
  /** How many times longer the context became. */
  readonly factor: number;
  /** Tokens of context the model was pretrained on. */
  readonly originalLength: number;
  /** Frequencies that turn more often than this within the original length are kept. */
  readonly betaFast: number;
  /** Frequencies that turn less often than this within the original length are divided by `factor`. */
  readonly betaSlow: number;
  /** What cos and sin are multiplied by. */
  readonly attentionFactor: number;
  /** Whether the ends of the ramp between both are rounded to whole frequency indices. */
  readonly truncate: boolean;
}

/** Llama 3.1's scaling by wavelength. */
export interface Llama3Scaling {
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  readonly originalLength: number;
}

/** LongRoPE: one divisor per frequency, from one list up to the original length and another beyond. */
export interface LongropeScaling {
  /** `[rotaryDim / 2]` */
  readonly shortFactor: readonly number[];
  /** `[rotaryDim / 2]` */
  readonly longFactor: readonly number[];
  readonly originalLength: number;
  readonly attentionFactor: number;
}

/** What each rope type needs beyond {@link RopeGeometry}. */
export interface RopeScalings {
  readonly default: Readonly<Record<never, never>>;
  readonly linear: { readonly factor: number };
  readonly dynamic: { readonly factor: number; readonly originalLength: number };
  readonly proportional: { readonly factor: number; readonly rotatedFrequencyCount: number };
  readonly yarn: YarnScaling;
  readonly longrope: LongropeScaling;
  readonly llama3: Llama3Scaling;
}

/** The scalings this package knows, by the name Hugging Face configs give them. */
export type RopeType = keyof RopeScalings;

/** The part of the parameters that every rope type has. */
export interface RopeGeometry {
  /** Numbers per attention head. */
  readonly headDim: number;
  /** How many of them, from the first on, are rotated. Even, at most `headDim`. */
  readonly rotaryDim: number;
  /** Base of the geometric series of frequencies. */
  readonly theta: number;
}

/**
 * Everything that determines a model's rotary embedding, as plain data that survives JSON.
 * A union over `ropeType`, which tells what `scaling` holds.
 */
export type RopeParameters<T extends RopeType = RopeType> = {
  readonly [K in T]: RopeGeometry & { readonly ropeType: K; readonly scaling: RopeScalings[K] };
}[T];

/** The rotation speeds of one model at one sequence length. */
export interface RopeFrequencies {
  /** Radians per token, `[rotaryDim / 2]`. */
  readonly inverseFrequencies: Float64Array;
  /** What cos and sin are multiplied by, hence queries and keys each: scores grow by its square. */
  readonly attentionScaling: number;
}
