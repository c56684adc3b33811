import { resolve } from "node:path";
import type { Dtype } from "@kvfold/decoder";
import { parsePolicies } from "@kvfold/policies";
import {
  type CausalLM,
  createTextStream,
  type DecodingState,
  type FinishReason,
  type Generation,
  generate,
  type TextStream,
} from "@kvfold/runtime";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import { checkFileTarget, type Existing } from "../files/whole-file.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { readCache, writeCache } from "../models/cache-files.js";
import { cacheUse } from "../models/cache-graph.js";
import { type FoundModel, findModels } from "../models/find-model.js";
import { readFolderConfig } from "../models/folder-config.js";
import { identifyModel } from "../models/identify-model.js";
import { locateModel } from "../models/locate-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import { readContinuation, readPrompt } from "../tokens/read-prompt.js";
import { folderVocabulary, type Vocabulary } from "../tokens/vocabulary.js";
import type { JobContext } from "./job.js";
import { deviceOptions, type OptionNames, requireKnown } from "./known-options.js";

export declare namespace generateText {
  /** How tokens are drawn. */
  type Sampling = Omit<generate.Options, "stopTokens" | "signal" | "state">;
  interface CacheOptions {
    /** A file that `saveCache` wrote: the prompt goes on after its tokens, which are not read again. */
    readonly loadCache?: string | undefined;
    /** Where the conversation's cache goes, its tokens and the answer's included. */
    readonly saveCache?: string | undefined;
    /** What `saveCache` does to a file that is there; one that is also loaded is replaced. `refuse` unless given. */
    readonly existing?: Existing | undefined;
    /** Policies that act on the cache, as `parsePolicies` reads them. */
    readonly cache?: string | undefined;
  }
  interface Options extends Sampling, Omit<readPrompt.Options, "source">, CacheOptions, DeviceOptions {
    readonly model: string;
    readonly hub?: HubSettings | undefined;
    readonly dtype?: Dtype | undefined;
    /** Texts that end the generation; they are not part of it. */
    readonly stop?: readonly string[];
  }
  interface Result {
    /** What ran the model. */
    readonly device: ExecutionProvider;
    /** The new text, without the prompt. */
    readonly text: string;
    /** Tokens of the prompt: BOS and what a chat template adds are among them. */
    readonly promptTokens: number;
    /** Of these, tokens that a loaded cache held, so that they were not read again. */
    readonly cachedTokens?: number;
    /** Tokens generated. */
    readonly tokens: number;
    /** Over the whole generation, the prompt included. */
    readonly tokensPerSecond: number;
    readonly stoppedBy: FinishReason | "stop-text";
  }
}

/** The options that jobs which generate have in common. */
export const generationOptions: OptionNames<
  Omit<generateText.Options, "prompt" | keyof generateText.CacheOptions>
> = {
  ...deviceOptions,
  model: true,
  hub: true,
  dtype: true,
  stop: true,
  seed: true,
  maxNewTokens: true,
  temperature: true,
  topK: true,
  topP: true,
  chat: { system: true },
};

const OPTIONS: OptionNames<generateText.Options> = {
  ...generationOptions,
  prompt: true,
  loadCache: true,
  saveCache: true,
  existing: true,
  cache: true,
};

/**
 * Continues a prompt, or answers it, with a model: text by text as it comes.
 *
 * @throws {CliError} `insufficient-text` for a prompt without a token; `usage` for saved caches with a model whose cache
 *   lies on a GPU; and the errors of `readPrompt`, `readCache`, `writeCache` and of the runtime.
 */
export async function generateText(
  given: generateText.Options,
  context: JobContext,
): Promise<generateText.Result> {
  const {
    model,
    hub,
    dtype,
    prompt,
    chat,
    device: wanted,
    threads,
    quiet,
    ...options
  } = requireKnown("generateText", given, OPTIONS);
  const { loadCache, saveCache, existing = "refuse", cache, ...sampling } = options;
  tellUnused(sampling, context);
  const caches = {
    loadCache,
    saveCache,
    cache,
    existing: samePath(loadCache, saveCache) ? ("replace" as const) : existing,
  };
  if (saveCache !== undefined) await checkFileTarget(saveCache, caches.existing);
  const { device, provider } = await openDevice(
    { device: wanted, threads, quiet },
    context,
    floatType(dtype),
  );
  if (loadCache !== undefined || saveCache !== undefined) requireCpuCache(device);
  const [found] = await findModels([model], hub, context);
  const read = loadCache === undefined ? readPrompt : readContinuation;
  const tokens = await promptTokens(found!, dtype, (...place) => read(...place, { prompt, chat }));
  const opening = {
    provider,
    dtype,
    cache: cacheUse(cache === undefined ? [] : [cache]),
  };
  return withModels([found!], opening, context, async ([opened]) => ({
    device,
    ...(await withState(opened!, caches, (state) =>
      continuePrompt(opened!, { state, tokens }, sampling, context),
    )),
  }));
}

const samePath = (a: string | undefined, b: string | undefined): boolean =>
  a !== undefined && b !== undefined && resolve(a) === resolve(b);

/** With WebGPU alone, caches lie where nothing but the GPU reads them. */
function requireCpuCache(device: ExecutionProvider): void {
  if (device !== "webgpu") return;
  throw new CliError(
    "usage",
    "a cache in the memory of a GPU can neither be saved nor loaded; give --device cpu, or leave out --save-cache and --load-cache",
  );
}

/** Starts with the loaded cache, if one is named, and saves the cache after `work`, if it is to be kept. */
async function withState<T>(
  { lm, graph }: OpenedModel,
  { loadCache, saveCache, existing, cache }: generateText.CacheOptions & { readonly existing: Existing },
  work: (state: DecodingState) => Promise<T>,
): Promise<T> {
  const identity = loadCache === undefined && saveCache === undefined ? "" : await identifyModel(graph);
  const actions = cache === undefined ? {} : { cache: parsePolicies(cache) };
  const state =
    loadCache === undefined
      ? lm.createState(actions)
      : await readCache(loadCache, lm, { identity, ...actions });
  try {
    const result = await work(state);
    if (saveCache !== undefined) await writeCache(saveCache, state, { identity, existing });
    return result;
  } finally {
    state.dispose();
  }
}

/** Names options for drawing where nothing is drawn. */
export function tellUnused(
  { temperature = 0, topK, topP, seed = 0 }: generateText.Sampling,
  { onNotice }: JobContext,
): void {
  const drawing = { "--top-k": topK !== undefined, "--top-p": topP !== undefined, "--seed": seed !== 0 };
  const given = Object.entries(drawing).flatMap(([option, isGiven]) => (isGiven ? option : []));
  if (temperature === 0 && given.length > 0)
    onNotice(
      `${given.join(", ")}: not used, for --temperature 0 always takes the likeliest token; give a temperature above 0`,
    );
}

/** Read before the model is opened, which may take long: a prompt that cannot be used is refused at once. */
export async function promptTokens<T>(
  { path }: FoundModel,
  dtype: Dtype | undefined,
  read: (folder: string, vocabulary: Vocabulary) => Promise<T>,
): Promise<T> {
  const { folder } = await locateModel(path, dtype);
  return read(folder, folderVocabulary(folder, await readFolderConfig(folder)));
}

interface Turn {
  /** What the model has read. */
  readonly state: DecodingState;
  /** What comes after it. */
  readonly tokens: readonly number[];
}

async function continuePrompt(
  { lm, config, vocabulary }: OpenedModel,
  turn: Turn,
  { stop, ...sampling }: Pick<generateText.Options, "stop"> & generateText.Sampling,
  { onText, signal }: JobContext,
): Promise<Omit<generateText.Result, "device">> {
  const { state } = turn;
  const { decode } = await vocabulary.loadTokenizer();
  const prompt = [...state.tokens, ...turn.tokens];
  // The last token is read in any case, for what comes after it.
  const cachedTokens = Math.min(state.length, prompt.length - 1);
  const started = performance.now();
  const stream = createTextStream(decode, { stopStrings: stop, after: prompt });
  const generation = generate(lm, prompt, { ...sampling, state, stopTokens: config.eosTokens, signal });
  const { text, drawn, stoppedBy } = await streamText(generation, stream, onText);
  const tokensPerSecond = drawn.length / ((performance.now() - started) / 1000);
  await readLast(lm, state, [...prompt, ...drawn]);
  const cached = cachedTokens > 0 ? { cachedTokens } : {};
  return { text, promptTokens: prompt.length, ...cached, tokens: drawn.length, tokensPerSecond, stoppedBy };
}

/** The last token that was drawn is nothing that the model has read; a conversation that goes on needs it. */
async function readLast(lm: CausalLM, state: DecodingState, all: readonly number[]): Promise<void> {
  if (state.length < all.length && all.length <= lm.maxPositions)
    await state.prefill(all.slice(state.length));
}

async function streamText(
  generation: Generation,
  stream: TextStream,
  onText: (text: string) => void,
): Promise<Pick<generateText.Result, "text" | "stoppedBy"> & { readonly drawn: readonly number[] }> {
  const drawn: number[] = [];
  let text = "";
  const accept = (piece: string) => {
    text += piece;
    if (piece !== "") onText(piece);
  };
  for await (const token of generation) {
    drawn.push(token);
    accept(stream.push(token));
    if (stream.stopped) break;
  }
  accept(stream.flush());
  return { text, drawn, stoppedBy: stream.stopped ? "stop-text" : generation.finishReason! };
}
