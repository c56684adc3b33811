import { parsePolicies } from "@kvfold/policies";
import { cacheBytesPerToken, type PolicyItem, type PolicyScore, policyProbe } from "@kvfold/runtime";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import type { HubSettings } from "../hub/hub-settings.js";
import { type CacheUse, cacheBitsOf, cacheUse } from "../models/cache-graph.js";
import { findModels } from "../models/find-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import { readEvaluationText } from "./evaluation-text.js";
import type { JobContext } from "./job.js";
import { deviceOptions, type OptionNames, requireKnown } from "./known-options.js";

export declare namespace evaluatePolicies {
  interface Options extends DeviceOptions, Omit<readEvaluationText.Options, "furthestShift"> {
    readonly models: readonly string[];
    readonly hub?: HubSettings | undefined;
    /** Tokens of a window, of which the first half is read and compressed, and the rest predicted. */
    readonly window?: number | undefined;
    /** Lists of policies, as `parsePolicies` reads them. */
    readonly cache: readonly string[];
  }
  interface Continuation {
    readonly path: string;
    /** The policies; absent for the whole cache, which is always measured. */
    readonly cache?: string;
    /** Share of the first half's tokens that heads held on average when policies had acted; 0 to 1. */
    readonly held: number;
    /** Mean negative log likelihood of a predicted token, in nats. */
    readonly nll: number;
    readonly perplexity: number;
    /** To the first model with its whole cache. */
    readonly ratio: number;
    /** Tokens predicted. */
    readonly tokens: number;
    /** Before policies act. */
    readonly cacheBytesPerToken: number;
  }
  interface Result {
    /** What ran the models. */
    readonly device: ExecutionProvider;
    /** Windows that were measured. */
    readonly windows: number;
    /** By model, its whole cache first, then the lists in their order. */
    readonly continuations: readonly Continuation[];
  }
}

const OPTIONS: OptionNames<evaluatePolicies.Options> = {
  ...deviceOptions,
  models: true,
  hub: true,
  window: true,
  cache: true,
  files: true,
  windows: true,
  dtype: true,
};

/**
 * Measures how well models continue text after a compressed cache: the first half of each window is read once, each list of
 * policies acts on a copy of its cache, and the second half is predicted. Lists that ask for fewer bits are compared to the
 * whole cache in floats, for which the text is read once more.
 *
 * @throws {CliError} as `evaluateModels`; `usage` where caches do not lie in the memory of the CPU.
 */
export async function evaluatePolicies(
  given: evaluatePolicies.Options,
  context: JobContext,
): Promise<evaluatePolicies.Result> {
  const { models: names, hub, dtype, cache, ...options } = requireKnown("evaluatePolicies", given, OPTIONS);
  const { device, provider } = await openDevice(options, context, floatType(dtype));
  const models = await findModels(names, hub, context);
  const text = await readEvaluationText(models, { ...options, dtype, furthestShift: 0 }, context);
  const items = text.windows.map(halve);
  const runs = runsOf(cache);
  const sums: Sums[] = [];
  for (const [index, model] of models.entries()) {
    const label = `${model.name} (${index + 1}/${models.length})`;
    for (const { graph, lists } of runs) {
      const opening = { provider, dtype, cache: graph };
      const ofGraph = await withModels([model], opening, context, ([opened]) =>
        continueItems(opened!, items, { lists, label }, context),
      );
      sums.push(...ofGraph);
    }
  }
  const { nll: first } = sums[0]!;
  const continuations = sums.map((own) => ({
    ...own,
    perplexity: Math.exp(own.nll),
    ratio: Math.exp(own.nll - first),
  }));
  return { device, windows: items.length, continuations };
}

/** Lists of policies that run on one graph; undefined for the whole cache. */
interface Run {
  readonly graph: CacheUse;
  readonly lists: readonly (string | undefined)[];
}

/** The whole cache is always one of floats, so it runs on a graph of its own where the lists ask for fewer bits. */
function runsOf(cache: readonly string[]): readonly Run[] {
  const graph = cacheUse(cache);
  if (cacheBitsOf(graph).length === 0) return [{ graph: "policies", lists: [undefined, ...cache] }];
  return [
    { graph: "policies", lists: [undefined] },
    { graph, lists: cache },
  ];
}

type Sums = Omit<evaluatePolicies.Continuation, "perplexity" | "ratio">;

/** Text without a question: its second half is the answer. */
function halve(window: Int32Array): PolicyItem {
  const ids = Array.from(window);
  const half = Math.floor(ids.length / 2);
  return { context: ids.slice(0, half), question: [], answer: ids.slice(half) };
}

async function continueItems(
  { path, lm }: OpenedModel,
  items: readonly PolicyItem[],
  { lists, label }: Pick<Run, "lists"> & { readonly label: string },
  { onProgress, signal }: JobContext,
): Promise<readonly Sums[]> {
  const policies = lists.map((list) => (list === undefined ? [] : parsePolicies(list)));
  const onItem = (index: number) => onProgress({ label, done: index + 1, total: items.length });
  const scores = await policyProbe(lm, items, policies, { onItem, signal });
  return lists.map((cache, list) => ({
    path,
    ...(cache === undefined ? {} : { cache }),
    ...sumUp(scores.map((ofItem) => ofItem[list]!)),
    cacheBytesPerToken: cacheBytesPerToken(lm.cacheLayout),
  }));
}

function sumUp(scores: readonly PolicyScore[]): Pick<Sums, "held" | "nll" | "tokens"> {
  const sum = (what: "held" | "read" | "nll" | "tokens") =>
    scores.reduce((total, score) => total + score[what], 0);
  return { held: sum("held") / sum("read"), nll: sum("nll") / sum("tokens"), tokens: sum("tokens") };
}
