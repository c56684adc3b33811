import type { Dtype } from "@kvfold/decoder";
import { parsePolicies } from "@kvfold/policies";
import { cacheBytesPerToken, type PolicyItem, type PolicyScore, policyProbe } from "@kvfold/runtime";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModels } from "../models/find-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import type { TokenFile } from "../tokens/read-tokens.js";
import { readEvaluationText } from "./evaluation-text.js";
import type { JobContext } from "./job.js";

export declare namespace evaluatePolicies {
  interface Options extends DeviceOptions {
    readonly models: readonly string[];
    readonly hub?: HubSettings | undefined;
    readonly files: readonly TokenFile[];
    /** Windows to measure; all that the text gives without it. */
    readonly windows?: number | undefined;
    /** Tokens of a window, of which the first half is read and compressed, and the rest predicted. */
    readonly window?: number | undefined;
    readonly dtype?: Dtype | undefined;
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

/**
 * Measures how well models continue text behind a compressed cache: the first half of each window is read once, each list of
 * policies acts on a copy of its cache, and the second half is predicted.
 *
 * @throws {CliError} as `evaluateModels`; `usage` where caches do not lie in the memory of the CPU.
 */
export async function evaluatePolicies(
  { models: names, hub, dtype, cache, ...options }: evaluatePolicies.Options,
  context: JobContext,
): Promise<evaluatePolicies.Result> {
  const { device, provider } = await openDevice(options, context, floatType(dtype));
  const models = await findModels(names, hub, context);
  const text = await readEvaluationText(models, { ...options, dtype, furthestShift: 0 }, context);
  const items = text.windows.map(halve);
  const opening = { provider, dtype, cache: "policies" as const };
  const sums: Sums[] = [];
  for (const [index, model] of models.entries()) {
    const label = `${model.name} (${index + 1}/${models.length})`;
    const ofModel = await withModels([model], opening, context, ([opened]) =>
      continueItems(opened!, items, { cache, label }, context),
    );
    sums.push(...ofModel);
  }
  const { nll: first } = sums[0]!;
  const continuations = sums.map((own) => ({
    ...own,
    perplexity: Math.exp(own.nll),
    ratio: Math.exp(own.nll - first),
  }));
  return { device, windows: items.length, continuations };
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
  { cache, label }: { readonly cache: readonly string[]; readonly label: string },
  { onProgress, signal }: JobContext,
): Promise<readonly Sums[]> {
  const lists = [[], ...cache.map((policies) => parsePolicies(policies))];
  const onItem = (index: number) => onProgress({ label, done: index + 1, total: items.length });
  const scores = await policyProbe(lm, items, lists, { onItem, signal });
  return lists.map((_, list) => ({
    path,
    ...(list === 0 ? {} : { cache: cache[list - 1]! }),
    ...sumUp(scores.map((ofItem) => ofItem[list]!)),
    cacheBytesPerToken: cacheBytesPerToken(lm.cacheLayout),
  }));
}

function sumUp(scores: readonly PolicyScore[]): Pick<Sums, "held" | "nll" | "tokens"> {
  const sum = (what: "held" | "read" | "nll" | "tokens") =>
    scores.reduce((total, score) => total + score[what], 0);
  return { held: sum("held") / sum("read"), nll: sum("nll") / sum("tokens"), tokens: sum("tokens") };
}
