import { type Dtype, dtypes, type ModelConfig } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import { resolveMethod } from "../methods/index.js";
import type { Method } from "../methods/method.js";
import { quantisedBytesPerToken } from "./cache-bits.js";
import { numbersPerToken } from "./cache-size.js";
import type { LayerPlan } from "./fold-plan.js";
import { isWhole, parseKeep } from "./keep.js";
import { planFold } from "./plan-fold.js";
import { weightBytes } from "./weight-size.js";

/** What a cached number is stored in; `int8` is the quantised cache of `fold` with `cacheBits`, scales included. */
export type CacheType = "float32" | "float16" | "int8";

/** How long a context is with one share of the cache, or how many bytes it takes. */
export interface FittedContext {
  /** Share of the cache that was asked for, e.g. `1/4`. */
  readonly keep: string;
  /** Share that layers really keep, 0 to 1, in numbers: the scales of `int8` are not among them. */
  readonly achieved: number;
  /** What the weights are stored in. */
  readonly dtype: Dtype;
  readonly cacheType: CacheType;
  readonly weightBytes: number;
  /** Bytes of the cache per token, all layers, scales included. */
  readonly cacheBytesPerToken: number;
  /** Tokens of the context; 0 where the weights alone take more than there is. */
  readonly tokens: number;
  /** Weights and the cache of these tokens. */
  readonly bytes: number;
}

export declare namespace fitContext {
  interface Options {
    /** Bytes for weights and cache, or the tokens of a context. */
    readonly limit: { readonly memory: number } | { readonly context: number };
    /** Shares of the cache: `1`, `1/2`, `1/4` and `1/8` unless given. */
    readonly keeps?: readonly (string | number)[] | undefined;
    /** How heads are folded; the default method unless given. */
    readonly method?: string | Method | undefined;
    /** What weights are stored in: `fp32`, `fp16` and `q4` unless given. */
    readonly dtypes?: readonly Dtype[] | undefined;
  }
}

const DEFAULT_KEEPS = ["1", "1/2", "1/4", "1/8"];

/**
 * How long a context fits into memory for each share of the cache, type of weights and type of cache; or how much memory a
 * context takes. It only needs the config.
 *
 * Numerics: weights are those of the original, counted by shapes; a fold's differ from them by a few percent. What ONNX Runtime
 * takes for itself and for activations is not counted. A context may be longer than the model's own.
 *
 * @throws {ConverterError} `invalid-option` for a limit that is not a positive number, and as `planFold`.
 */
export function fitContext(config: ModelConfig, options: fitContext.Options): readonly FittedContext[] {
  const { limit, keeps = DEFAULT_KEEPS, dtypes: wanted = Object.keys(dtypes) as Dtype[] } = options;
  requireLimit(limit);
  return keeps.flatMap((keep) => {
    const share = planShare(config, keep, options.method);
    return wanted.flatMap((dtype) => fitDtype(weightBytes(config, dtype), { ...share, dtype }, limit));
  });
}

function requireLimit(limit: fitContext.Options["limit"]): void {
  for (const [option, value] of Object.entries(limit)) {
    if (Number.isFinite(value) && value > 0) continue;
    throw new ConverterError("invalid-option", `${option} ${value}: expected a number above 0`, { option });
  }
}

/** What the cache of a share is made of. */
interface Share extends Pick<FittedContext, "keep" | "achieved"> {
  readonly layers: readonly LayerPlan[];
  /** Whether keys and values of a layer are one cached vector. */
  readonly isJoint: boolean;
}

function planShare(config: ModelConfig, keep: string | number, method: string | Method | undefined): Share {
  // Where everything is kept nothing is folded, whatever the method.
  const used = isWhole(parseKeep(keep)) ? undefined : method;
  const plan = planFold(config, { keep, method: used });
  const planned = resolveMethod(used ?? plan.method);
  return {
    keep: plan.keep,
    achieved: plan.achieved,
    layers: plan.layers,
    isJoint: planned.joint !== undefined,
  };
}

function fitDtype(
  weights: number,
  { layers, isJoint, keep, achieved, dtype }: Share & { readonly dtype: Dtype },
  limit: fitContext.Options["limit"],
): readonly FittedContext[] {
  const { floatType } = dtypes[dtype];
  return [floatType, "int8" as const].map((cacheType) => {
    const cacheBytesPerToken = cacheBytes(layers, cacheType, isJoint);
    const tokens =
      "context" in limit
        ? limit.context
        : Math.max(0, Math.floor((limit.memory - weights) / cacheBytesPerToken));
    const bytes = weights + tokens * cacheBytesPerToken;
    return { keep, achieved, dtype, cacheType, weightBytes: weights, cacheBytesPerToken, tokens, bytes };
  });
}

const NUMBER_BYTES = { float32: 4, float16: 2 } as const;

/** Bytes that all layers cache of each token. */
const cacheBytes = (layers: readonly LayerPlan[], type: CacheType, isJoint: boolean): number =>
  type === "int8"
    ? quantisedBytesPerToken(layers, type, isJoint)
    : NUMBER_BYTES[type] * sum(layers.map(numbersPerToken));

const sum = (numbers: readonly number[]): number => numbers.reduce((total, count) => total + count, 0);
