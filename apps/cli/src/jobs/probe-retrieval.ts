import type { Dtype } from "@kvfold/decoder";
import { parsePolicies } from "@kvfold/policies";
import {
  cacheBytesPerToken,
  type PolicyScore,
  policyProbe,
  type QuestionTime,
  type RetrievalScore,
  retrievalProbe,
} from "@kvfold/runtime";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { cacheUse } from "../models/cache-graph.js";
import { type FoundModel, findModels } from "../models/find-model.js";
import { readFolderConfig } from "../models/folder-config.js";
import { locateModel } from "../models/locate-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import { groupItems, limitItems } from "../tokens/retrieval-groups.js";
import { type RetrievalLine, readRetrievalItems } from "../tokens/retrieval-items.js";
import { splitPrompt } from "../tokens/split-prompt.js";
import type { JobContext } from "./job.js";
import { deviceOptions, type OptionNames, requireKnown } from "./known-options.js";

export declare namespace probeRetrieval {
  interface Options extends DeviceOptions {
    readonly models: readonly string[];
    readonly hub?: HubSettings | undefined;
    /** JSON Lines: `{ task, length, ids, answer_ids }`. */
    readonly file: string;
    /** Items of each task and length; all without it. */
    readonly limit?: number | undefined;
    readonly dtype?: Dtype | undefined;
    /** Lists of policies, as `parsePolicies` reads them; each acts on a copy of the cache. */
    readonly cache?: readonly string[] | undefined;
    /** Whether policies act before the question is read, which is the last line of a prompt; `unknown` unless given. */
    readonly question?: QuestionTime | undefined;
  }
  /** How many answers are right. */
  interface Counts {
    readonly items: number;
    /** Answers whose tokens are all the first choice, each after the answer's own tokens before it. */
    readonly teacherForced: number;
    /** Answers that greedy decoding writes; absent under policies. */
    readonly greedy?: number;
    /** Share of the answers' tokens that are the first choice, teacher-forced; 0 to 1. */
    readonly accuracy: number;
  }
  interface Group extends Counts {
    readonly task: string;
    readonly length: number;
  }
  interface Probe {
    readonly path: string;
    /** The policies, where some were asked for. */
    readonly cache?: string;
    /** Share of the tokens that heads held on average when policies had acted; 0 to 1. */
    readonly held?: number;
    readonly groups: readonly Group[];
    /** Over all groups. */
    readonly all: Counts;
    readonly cacheBytesPerToken: number;
  }
  interface Result {
    /** What ran the models. */
    readonly device: ExecutionProvider;
    readonly models: readonly Probe[];
  }
}

const OPTIONS: OptionNames<probeRetrieval.Options> = {
  ...deviceOptions,
  models: true,
  hub: true,
  file: true,
  limit: true,
  dtype: true,
  cache: true,
  question: true,
};

/**
 * Measures whether models find what their context holds: the exact answers to the prompts of a file, by task and length.
 *
 * @throws {CliError} `unreadable-file` or `malformed-file` for the file, with the line at fault; `insufficient-text` when
 *   an item is longer than a model's context.
 */
export async function probeRetrieval(
  given: probeRetrieval.Options,
  context: JobContext,
): Promise<probeRetrieval.Result> {
  const {
    models: names,
    hub,
    file,
    limit,
    dtype,
    cache,
    question,
    ...on
  } = requireKnown("probeRetrieval", given, OPTIONS);
  const { device, provider } = await openDevice(on, context, floatType(dtype));
  const all = await readRetrievalItems(file);
  const items = limit === undefined ? all : limitItems(all, limit);
  const models = await findModels(names, hub, context);
  for (const model of models) checkFit(items, { file, ...(await limitsOf(model, dtype)) });
  const probes: probeRetrieval.Probe[] = [];
  for (const [index, model] of models.entries()) {
    const label = `${model.name} (${index + 1}/${models.length})`;
    const opening = {
      provider,
      dtype,
      cache: cacheUse(cache),
    };
    probes.push(
      ...(await withModels([model], opening, context, async ([opened]) =>
        cache === undefined
          ? [await probe(opened!, items, label, context)]
          : probePolicies(opened!, items, { cache, question, label }, context),
      )),
    );
  }
  return { device, models: probes };
}

interface Limits {
  readonly name: string;
  readonly vocabSize: number;
  readonly maxPositions: number;
}

async function limitsOf({ name, path }: FoundModel, dtype: Dtype | undefined): Promise<Limits> {
  const { folder } = await locateModel(path, dtype);
  const { vocabSize = Number.POSITIVE_INFINITY, maxPositions = Number.POSITIVE_INFINITY } =
    await readFolderConfig(folder);
  return { name, vocabSize, maxPositions };
}

/** Finds out before anything is run: a long file may take hours. */
function checkFit(
  items: readonly RetrievalLine[],
  { file, name, vocabSize, maxPositions }: Limits & { readonly file: string },
): void {
  for (const { line, prompt, answer } of items) {
    const stranger = [...prompt, ...answer].find((id) => id >= vocabSize);
    if (stranger !== undefined) {
      throw new CliError(
        "malformed-file",
        `${file}, line ${line}: token ${stranger} is beyond the ${vocabSize} of ${name}; the file must be made with its tokenizer`,
      );
    }
    const tokens = prompt.length + answer.length;
    if (tokens > maxPositions) {
      throw new CliError(
        "insufficient-text",
        `${file}, line ${line}: prompt and answer have ${tokens} tokens, more than the context of ${name} (${maxPositions}); leave such lines out`,
      );
    }
  }
}

async function probe(
  { path, lm }: OpenedModel,
  items: readonly RetrievalLine[],
  label: string,
  { onProgress, signal }: JobContext,
): Promise<probeRetrieval.Probe> {
  const total = sum(items.map(tokensOf));
  let done = 0;
  const onItem = (index: number) => {
    done += tokensOf(items[index]!);
    onProgress({ label, done, total });
  };
  const scores = await retrievalProbe(lm, items, { onItem, signal });
  return {
    path,
    ...countByGroup(items, scores, count),
    cacheBytesPerToken: cacheBytesPerToken(lm.cacheLayout),
  };
}

interface PolicyRequest extends Pick<probeRetrieval.Options, "question"> {
  readonly cache: readonly string[];
  readonly label: string;
}

/** Reads each prompt once, for all lists of policies. */
async function probePolicies(
  { path, lm, vocabulary }: OpenedModel,
  items: readonly RetrievalLine[],
  { cache, question, label }: PolicyRequest,
  { onProgress, signal }: JobContext,
): Promise<readonly probeRetrieval.Probe[]> {
  const { decode } = await vocabulary.loadTokenizer();
  const split = items.map(({ prompt, answer }) => ({ ...splitPrompt(prompt, decode), answer }));
  let done = 0;
  const onItem = () => onProgress({ label, done: ++done, total: items.length });
  const lists = cache.map((policies) => parsePolicies(policies));
  const scores = await policyProbe(lm, split, lists, { question, onItem, signal });
  return cache.map((policies, list) => {
    const own = scores.map((ofItem) => ofItem[list]!);
    return {
      path,
      cache: policies,
      held: sum(own.map(({ held }) => held)) / sum(own.map(({ read }) => read)),
      ...countByGroup(items, own, countHits),
      cacheBytesPerToken: cacheBytesPerToken(lm.cacheLayout),
    };
  });
}

/** Counts the scores of items by task and length, and all of them. */
function countByGroup<Score>(
  items: readonly RetrievalLine[],
  scores: readonly Score[],
  countAll: (scores: readonly Score[]) => probeRetrieval.Counts,
): Pick<probeRetrieval.Probe, "groups" | "all"> {
  const scored = items.map(({ task, length }, index) => ({ task, length, score: scores[index]! }));
  const groups = groupItems(scored).map(({ task, length, items: group }) => ({
    task,
    length,
    ...countAll(group.map(({ score }) => score)),
  }));
  return { groups, all: countAll(scores) };
}

const countHits = (
  scores: readonly Pick<PolicyScore, "hits" | "tokens">[],
): Omit<probeRetrieval.Counts, "greedy"> => ({
  items: scores.length,
  teacherForced: scores.filter(({ hits, tokens }) => hits === tokens).length,
  accuracy: sum(scores.map(({ hits }) => hits)) / sum(scores.map(({ tokens }) => tokens)),
});

function count(scores: readonly RetrievalScore[]): probeRetrieval.Counts {
  const { accuracy, ...hits } = countHits(scores);
  return { ...hits, greedy: scores.filter(({ greedy }) => greedy).length, accuracy };
}

const tokensOf = ({ prompt, answer }: RetrievalLine): number => prompt.length + answer.length;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
