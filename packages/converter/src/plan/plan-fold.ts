import { ggufTakesBiases, type ModelConfig } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import type { Heal } from "../methods/heal.js";
import { DEFAULT_METHOD, resolveMethod } from "../methods/index.js";
import type { Method } from "../methods/method.js";
import { none } from "../methods/none.js";
import { type BudgetChoice, budgetName, UNIFORM } from "./budget-name.js";
import { planCacheBits } from "./cache-bits.js";
import { cacheFigures } from "./cache-size.js";
import { chooseHeal } from "./choose-heal.js";
import { type Chunk, planChunk } from "./chunk.js";
import { planContext } from "./context.js";
import type { CacheBits, FoldPlan, Format, LayerPlan, Metric } from "./fold-plan.js";
import { requireHeldDtypes } from "./held-dtypes.js";
import { formatKeep, isWhole, type Keep, parseKeep } from "./keep.js";
import { parseKeyShare } from "./key-share.js";
import { layerAttention } from "./layer-attention.js";
import { layerShape } from "./layer-shape.js";
import type { GivenSpans } from "./layer-spans.js";
import type { LayersRequest } from "./plan-layers.js";
import { reachableLayers } from "./reachable-layers.js";
import { requireFormats, requireFreeRanks, requireRotation } from "./requirements.js";
import type { StoredDtype } from "./stored-dtype.js";

export declare namespace planFold {
  interface Options extends GivenSpans {
    /** Share of the cache to keep: `1/2`, `0.25`, `1`. */
    readonly keep: string | number;
    /**
     * Name of a method, or a method of one's own; without it `none` where everything is kept, else the default. The plan
     * holds the name, so whatever carries it out takes the method too (`methods`).
     */
    readonly method?: string | Method | undefined;
    /** Input KV heads that share one folded head; the method's own without it. */
    readonly keySpan?: number | undefined;
    readonly valueSpan?: number | undefined;
    /** Share of the cache that keys take: `1/3`; the method's own without it, for most methods a half. */
    readonly keyShare?: string | number | undefined;
    /**
     * Name of a budget, or a budget of one's own: how the ranks that `keep` leaves are shared out among the layers;
     * the method's own without it, for most methods `uniform`.
     */
    readonly budget?: BudgetChoice | undefined;
    /**
     * For methods with a joint latent: the chunks that keys are turned in. Without it `{ least: 16, phase: 0.4 }`, and
     * `{ least: 8, phase: 0.8 }` where an eighth of the cache or less is kept.
     */
    readonly chunk?: Chunk | undefined;
    /**
     * For methods that fold keys after their rotation: positions that their moments are spread over, so that the bases suit
     * all of them. Without it the model's context, up to 32768, where `window` is given and shorter; else the positions
     * within the calibration windows alone.
     */
    readonly context?: number | undefined;
    /** Tokens of a calibration window. */
    readonly window?: number | undefined;
    /** What errors are weighed by, for methods that weigh them; `output` without it. */
    readonly metric?: Metric | undefined;
    /** What is refitted after folding; the method's own choice without it. */
    readonly heal?: Heal | undefined;
    readonly formats?: readonly Format[];
    readonly dtypes?: readonly StoredDtype[];
    readonly maxPositions?: number | undefined;
    /** Graphs with quantised caches to write besides, for the CPU; none unless given. */
    readonly cacheBits?: readonly CacheBits[] | undefined;
    readonly seed?: number;
  }
}

/**
 * Works out what a fold will do, without touching weights. With a budget other than `uniform` the layers are those of
 * `uniform`, and `allocateBudget` settles them.
 *
 * Any share goes with any number of heads: ranks are multiples of eight where GroupQueryAttention can then compute the
 * layers and the share is within a tenth of `keep`; else they are whole numbers as near to it as can be. `achieved` says
 * what came out. Methods that keep whole heads (`standardShape`) take only shares that are.
 *
 * @throws {ConverterError} `invalid-option`, with the option's name in `option`, when the options do not fit each other
 * or the model's heads.
 */
export function planFold(config: ModelConfig, options: planFold.Options): FoldPlan {
  const { shape, family } = config;
  const { formats = ["onnx"], dtypes = ["fp32"], seed = 0, maxPositions = shape.maxPositions } = options;
  const request = readRequest(options);
  const { keep, method, budget } = request;
  requireRotation(config, method);
  if (options.budget !== undefined && budget !== UNIFORM) requireFreeRanks(budget, method, formats);
  requireFormats(config, method, { formats, maxPositions });
  requireHeldDtypes(formats, dtypes);
  const layers = reachableLayers(config, request, formats);
  return {
    family: family.name,
    method: method.name,
    keep: formatKeep(keep),
    budget,
    settled: budget === UNIFORM,
    layers,
    ...chooseHeal(config, options.heal, method),
    ...(options.metric === "loss" && { metric: options.metric }),
    ...planChunk(options.chunk, method, config, keep),
    attention: layers.every((layer, index) => isFused(config, index, method, layer))
      ? "group-query"
      : "plain",
    ...planContext(options, method, config),
    formats,
    bias: formats.every((format) => takesBiases(format, config)) ? "free" : "none",
    dtypes,
    maxPositions,
    ...planCacheBits(options.cacheBits, formats),
    seed,
    ...cacheFigures(config, layers, dtypes[0] ?? "fp32"),
  };
}

const isFused = (config: ModelConfig, index: number, method: Method, layer: LayerPlan): boolean =>
  layerAttention(layerShape(config, index), method, layer) === "group-query";

/** Whether a format has a place for biases that the input lacks. */
function takesBiases(format: Format, config: ModelConfig): boolean {
  if (format === "gguf") return ggufTakesBiases(config);
  return format === "onnx" || config.standard.biases !== undefined;
}

/** Reads the options that say how layers are folded. */
function readRequest({ keySpan, valueSpan, ...options }: planFold.Options): LayersRequest {
  const keep = parseKeep(options.keep);
  const method = resolveMethod(options.method ?? (isWhole(keep) ? none.name : DEFAULT_METHOD));
  if (method === none && !isWhole(keep)) {
    throw new ConverterError(
      "invalid-option",
      `method none keeps everything, but keep is ${options.keep}; choose another method, or keep 1`,
      { option: "method" },
    );
  }
  const budget = budgetName(options.budget ?? defaultBudget(method, keep));
  const keyShare = parseKeyShare(options.keyShare, { method, budget });
  return { keep, method, budget, keyShare, spans: { keySpan, valueSpan } };
}

/** There is nothing to share out where everything is kept. */
const defaultBudget = ({ budget = UNIFORM }: Method, keep: Keep): string =>
  isWhole(keep) ? UNIFORM : budget;
