import type { ModelConfig, ModelShape } from "@kvfold/decoder";
import { type Dtype, floatDtype } from "@kvfold/decoder";
import { attentionKind, sharedAttentionKind } from "@kvfold/decoder/graph";
import type { Budget } from "../budgets/budget.js";
import { findBudget, uniform } from "../budgets/index.js";
import { ConverterError } from "../converter-error.js";
import type { Heal } from "../methods/heal.js";
import { DEFAULT_METHOD, findMethod, methods } from "../methods/index.js";
import type { Method, SpanContext } from "../methods/method.js";
import { none } from "../methods/none.js";
import { cacheBytes, cacheShapes } from "./cache-size.js";
import { chooseHeal } from "./choose-heal.js";
import type { FoldPlan, Format, LayerPlan, SidePlan } from "./fold-plan.js";
import { formatKeep, type Keep, parseKeep } from "./keep.js";
import { findKeyShare } from "./key-share.js";
import { shareOut } from "./share-out.js";

export declare namespace planFold {
  interface Options {
    /** Share of the cache to keep: `1/2`, `0.25`, `1`. */
    readonly keep: string;
    /** Name of a method; `none` where everything is kept, else the default. */
    readonly method?: string | undefined;
    /** Input KV heads that share one folded head; the method's own without it. */
    readonly keySpan?: number | undefined;
    readonly valueSpan?: number | undefined;
    /** Share of the cache that keys take: `1/3`; the method's own without it, in most a half. */
    readonly keyShare?: string | undefined;
    /** Name of a budget: how the ranks that `keep` leaves are shared out among the layers; `uniform` without it. */
    readonly budget?: string | undefined;
    /** What is refitted after folding; the method's own choice without it. */
    readonly heal?: Heal | undefined;
    readonly formats?: readonly Format[];
    readonly dtypes?: readonly Dtype[];
    readonly maxPositions?: number | undefined;
    readonly seed?: number;
  }
}

/**
 * Works out what a fold will do, without touching weights. With a budget other than `uniform` the layers are those of
 * `uniform`, and `allocateBudget` settles them.
 *
 * @throws {ConverterError} `invalid-option` when the options do not fit the model's heads.
 */
export function planFold(config: ModelConfig, options: planFold.Options): FoldPlan {
  const { shape, family } = config;
  const { formats = ["onnx"], dtypes = ["fp32"], seed = 0, maxPositions = shape.maxPositions } = options;
  const keep = parseKeep(options.keep);
  const method = findMethod(options.method ?? (isWhole(keep) ? none.name : DEFAULT_METHOD));
  if (method === none && !isWhole(keep)) {
    throw new ConverterError(
      "invalid-option",
      `method none keeps everything, but --keep is ${options.keep}; use --keep 1`,
    );
  }
  const budget = findBudget(options.budget ?? uniform.name);
  if (budget !== uniform) requireFreeRanks(budget, method, formats);
  const layer = planLayer(config, options, { keep, method, budget });
  if (formats.includes("hf")) {
    requireStandardShape(config, method, layer);
    requireFloats(dtypes);
  }
  const layers = Array.from({ length: shape.layers }, () => layer);
  return {
    family: family.name,
    method: method.name,
    keep: formatKeep(keep),
    budget: budget.name,
    settled: budget === uniform,
    layers,
    ...chooseHeal(config, options.heal, method),
    attention: method.keysBeforeRope
      ? "plain"
      : sharedAttentionKind(
          config.blocks.map((block) =>
            attentionKind({ ...cacheShapes(layer), expanded: undefined }, block.attention),
          ),
        ),
    taps: method.taps,
    formats,
    bias: formats.includes("hf") && config.standard.biases === undefined ? "none" : "free",
    dtypes,
    maxPositions,
    seed,
    cacheBytesPerToken: cacheBytes(shape, layers, dtypes[0] ?? "fp32"),
  };
}

interface Choices {
  readonly keep: Keep;
  readonly method: Method;
  readonly budget: Budget;
}

/** How any one layer is folded; budgets change it later. */
function planLayer(
  { shape, blocks }: ModelConfig,
  { keySpan, valueSpan, keyShare }: planFold.Options,
  { keep, method, budget }: Choices,
): LayerPlan {
  const context: SpanContext = {
    shape,
    positions: blocks.some(({ attention }) => attention.rope !== undefined) ? "rope" : "alibi",
    shrink: keep.denominator,
  };
  const spans = method.spans(context);
  const even: LayerPlan = {
    keys: planSide(shape, keep, keySpan ?? spans.keys, "--key-span"),
    values: planSide(shape, keep, valueSpan ?? spans.values, "--value-span"),
  };
  const share = findKeyShare(keyShare, { method, budget, context });
  return share === undefined ? even : shareOut(even, share, shape.headDim);
}

/** Refuses, before any work starts, to give layers different ranks where they must fold alike. */
function requireFreeRanks(budget: Budget, method: Method, formats: readonly Format[]): void {
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `--budget ${budget.name}: ${reason}; use --budget uniform`);
  };
  if (formats.includes("hf"))
    refuse("a Hugging Face checkpoint (--format hf) states one number of KV heads for all layers");
  if (method.standardShape) refuse(`method ${method.name} keeps whole heads, the same number in every layer`);
}

/** Refuses, before any work starts, what no Hugging Face checkpoint can say. */
function requireStandardShape(
  { family, shape, standard }: ModelConfig,
  method: Method,
  { keys, values }: LayerPlan,
): void {
  const able = methods.filter(({ standardShape }) => standardShape).map(({ name }) => name);
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `--format hf: ${reason}; --format onnx can hold it`);
  };
  if (standard.kvHeads === undefined) refuse(`a ${family.name} checkpoint has no field for fewer KV heads`);
  if (!method.standardShape) {
    refuse(
      `method ${method.name} leaves products ${method.keysBeforeRope ? "before" : "after"} the rotation, which plain GQA code does not have (${able.join(", ")} do without)`,
    );
  }
  if (keys.rank !== shape.headDim || values.rank !== shape.headDim) {
    refuse(
      `spans of ${keys.span} and ${values.span} give heads of ${keys.rank} and ${values.rank}, but plain GQA keeps the head size of ${shape.headDim} (leave the spans out)`,
    );
  }
}

/** Refuses, before any work starts, a checkpoint in four bits. */
function requireFloats(dtypes: readonly Dtype[]): void {
  if (floatDtype(dtypes) !== undefined) return;
  throw new ConverterError(
    "invalid-option",
    `--format hf: a checkpoint holds floats, but --dtype is ${dtypes.join(",")}; add fp32 or fp16 to it`,
  );
}

const isWhole = ({ numerator, denominator }: Keep): boolean => numerator === denominator;

function planSide({ kvHeads, headDim }: ModelShape, keep: Keep, span: number, option: string): SidePlan {
  const rank = (span * headDim * keep.numerator) / keep.denominator;
  if (!Number.isInteger(span) || span < 1 || kvHeads % span !== 0) {
    throw new ConverterError(
      "invalid-option",
      `${option} ${span}: must be a whole number that divides the model's ${kvHeads} KV heads (with --keep ${formatKeep(keep)} it is ${keep.denominator} unless given); choose one of ${divisors(kvHeads).join(", ")}`,
    );
  }
  if (!Number.isInteger(rank) || rank < 1) {
    throw new ConverterError(
      "invalid-option",
      `--keep ${formatKeep(keep)}: ${span} heads of ${headDim} would keep ${rank} numbers, which is not whole; choose another --keep or ${option}`,
    );
  }
  return { span, heads: kvHeads / span, rank };
}

const divisors = (value: number): readonly number[] =>
  Array.from({ length: value }, (_, index) => index + 1).filter((candidate) => value % candidate === 0);
