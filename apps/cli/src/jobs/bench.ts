import type { Dtype } from "@kvfold/decoder";
import { parsePolicies } from "@kvfold/policies";
import { cacheBytesPerToken, createRandom, throwIfAborted } from "@kvfold/runtime";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { type CacheUse, cacheBitsOf, cacheUse } from "../models/cache-graph.js";
import { findModels } from "../models/find-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import type { JobContext } from "./job.js";
import { deviceOptions, type OptionNames, requireKnown } from "./known-options.js";
import { median } from "./median.js";

export declare namespace benchModels {
  interface Options extends DeviceOptions {
    /** The first is what the others are compared to. */
    readonly models: readonly string[];
    readonly hub?: HubSettings | undefined;
    /** Context lengths in tokens: where decoding ends, the prompt included. */
    readonly contexts?: readonly number[] | undefined;
    /** Tokens decoded per measurement. */
    readonly tokens?: number | undefined;
    /** Measurements per model and context. */
    readonly repeats?: number | undefined;
    readonly seed?: number | undefined;
    readonly dtype?: Dtype | undefined;
    /** Lists of policies; each model is measured without, with a cache of floats, and with each of them. */
    readonly cache?: readonly string[] | undefined;
  }
  /** Speed of one phase: median over the repeats, and over that of the first model. */
  interface Speed {
    readonly tokensPerSecond: number;
    readonly ratio: number | null;
    /** Each measurement, in the order taken. */
    readonly seconds: readonly number[];
  }
  interface Measurement {
    readonly path: string;
    /** Policies that acted on the cache. */
    readonly cache?: string;
    /** Bytes of the cache at the end, under policies. */
    readonly cacheBytes?: number;
    readonly context: number;
    readonly promptTokens: number;
    readonly decodedTokens: number;
    readonly prefill: Speed;
    readonly decode: Speed;
  }
  interface Result {
    /** What ran the models. */
    readonly device: ExecutionProvider;
    readonly models: readonly { readonly path: string; readonly cacheBytesPerToken: number }[];
    readonly measurements: readonly Measurement[];
    readonly skipped: readonly {
      readonly path: string;
      readonly context: number;
      readonly maxPositions: number;
    }[];
  }
}

const DEFAULT_CONTEXTS = [128, 512, 1024];

/** Seconds of one measurement. */
interface Timing {
  readonly prefill: number;
  readonly decode: number;
  readonly cacheBytes: number;
}

/** A model at a context length, and what was measured there. */
interface Bench {
  readonly model: OpenedModel;
  readonly context: number;
  readonly cache: string | undefined;
  readonly timings: Timing[];
}

const OPTIONS: OptionNames<benchModels.Options> = {
  ...deviceOptions,
  models: true,
  hub: true,
  contexts: true,
  tokens: true,
  repeats: true,
  seed: true,
  dtype: true,
  cache: true,
};

/**
 * Times prefill and decoding on random tokens. Models take turns, another one first each round, so that a machine
 * that slows down slows all of them.
 *
 * @throws {CliError} `insufficient-text` when no model has room for any of the contexts.
 */
export async function benchModels(
  options: benchModels.Options,
  context: JobContext,
): Promise<benchModels.Result> {
  requireKnown("benchModels", options, OPTIONS);
  const {
    models: names,
    hub,
    contexts = DEFAULT_CONTEXTS,
    tokens = 32,
    repeats = 5,
    seed = 0,
    dtype,
    cache,
  } = options;
  checkContexts(contexts, tokens);
  const initialCapacity = Math.max(...contexts);
  const { device, provider } = await openDevice(options, context, floatType(dtype));
  const found = await findModels(names, hub, context);
  const graph = cacheUse(cache);
  const open = <T>(use: CacheUse, work: (models: readonly OpenedModel[]) => Promise<T>) =>
    withModels(found, { provider, dtype, initialCapacity, cache: use }, context, work);
  const measure = async (
    models: readonly OpenedModel[],
    acted: readonly OpenedModel[],
  ): Promise<benchModels.Result> => {
    const benches = contexts.flatMap((length) =>
      models.flatMap((model, index) => [
        { model, context: length, cache: undefined, timings: [] },
        ...(cache ?? []).map(
          (list): Bench => ({ model: acted[index]!, context: length, cache: list, timings: [] }),
        ),
      ]),
    );
    const measurable = benches.filter(fits);
    if (measurable.length === 0) throw tooLong(contexts, models);
    await measureInTurn(measurable, { tokens, repeats, seed }, context);
    return {
      device,
      models: models.map(({ path, lm }) => ({
        path,
        cacheBytesPerToken: cacheBytesPerToken(lm.cacheLayout),
      })),
      measurements: measurable.map((bench) => summarise(bench, measurable, models[0]!, tokens)),
      skipped: benches
        .filter((bench) => !fits(bench) && bench.cache === undefined)
        .map(({ model, context: length }) => ({
          path: model.path,
          context: length,
          maxPositions: model.lm.maxPositions,
        })),
    };
  };
  // Caches of fewer bits have graphs of their own, and are compared to floats.
  return cacheBitsOf(graph).length === 0
    ? open(graph, (models) => measure(models, models))
    : open("policies", (models) => open(graph, (acted) => measure(models, acted)));
}

const fits = ({ model, context }: Bench): boolean => context <= model.lm.maxPositions;

function checkContexts(contexts: readonly number[], tokens: number): void {
  const short = contexts.find((length) => length <= tokens);
  if (short === undefined) return;
  throw new CliError(
    "usage",
    `--contexts ${short}: a context holds the prompt and the ${tokens} decoded tokens; ask for a longer one, or fewer --tokens`,
  );
}

const tooLong = (contexts: readonly number[], models: readonly OpenedModel[]) =>
  new CliError(
    "insufficient-text",
    `no model has room for contexts of ${contexts.join(", ")} tokens (they have ${models.map(({ lm }) => lm.maxPositions).join(", ")}); ask for shorter --contexts`,
  );

async function measureInTurn(
  benches: readonly Bench[],
  { tokens, repeats, seed }: { readonly tokens: number; readonly repeats: number; readonly seed: number },
  { onProgress, signal }: JobContext,
): Promise<void> {
  const total = benches.length * (repeats + 1);
  let done = 0;
  // Round 0 warms caches, memory and clocks up, and is not counted.
  for (let round = 0; round <= repeats; round++) {
    for (const bench of rotate(benches, round)) {
      throwIfAborted(signal);
      const timing = await measureOnce(bench, tokens, seed + round);
      if (round > 0) bench.timings.push(timing);
      onProgress({ label: `${bench.model.path} at ${bench.context}`, done: ++done, total });
    }
  }
}

const rotate = <T>(items: readonly T[], by: number): readonly T[] => [
  ...items.slice(by % items.length),
  ...items.slice(0, by % items.length),
];

async function measureOnce({ model, context, cache }: Bench, tokens: number, seed: number): Promise<Timing> {
  const { lm, vocabulary } = model;
  const random = createRandom(seed);
  const randomToken = () => Math.floor(random() * Math.min(vocabulary.vocabSize, 2 ** 31));
  const state = lm.createState(cache === undefined ? {} : { cache: parsePolicies(cache) });
  try {
    const prefill = await time(() => state.prefill(Array.from({ length: context - tokens }, randomToken)));
    const decode = await time(async () => {
      for (let count = 0; count < tokens; count++) await state.decode(randomToken());
    });
    return { prefill, decode, cacheBytes: state.cacheBytes };
  } finally {
    state.dispose();
  }
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

function summarise(
  { model, context, cache, timings }: Bench,
  benches: readonly Bench[],
  firstModel: OpenedModel,
  tokens: number,
): benchModels.Measurement {
  const first = benches.find(
    (bench) => bench.model === firstModel && bench.context === context && bench.cache === undefined,
  );
  const speed = (phase: "prefill" | "decode", count: number): benchModels.Speed => {
    const seconds = timings.map((timing) => timing[phase]);
    const baseline = first?.timings.map((timing) => timing[phase]);
    return {
      tokensPerSecond: count / median(seconds),
      ratio: baseline === undefined ? null : median(baseline) / median(seconds),
      seconds,
    };
  };
  return {
    path: model.path,
    ...(cache !== undefined && { cache, cacheBytes: timings.at(-1)!.cacheBytes }),
    context,
    promptTokens: context - tokens,
    decodedTokens: tokens,
    prefill: speed("prefill", context - tokens),
    decode: speed("decode", tokens),
  };
}
