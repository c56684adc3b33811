import type { Dtype } from "@kvfold/decoder";
import { createTextStream, DEFAULT_NEW_TOKENS, type FinishReason, generateBatch } from "@kvfold/runtime";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModels } from "../models/find-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import { readPrompt } from "../tokens/read-prompt.js";
import { readPromptLines } from "../tokens/read-prompt-lines.js";
import type { Vocabulary } from "../tokens/vocabulary.js";
import { type generateText, generationOptions, promptTokens, tellUnused } from "./generate.js";
import type { JobContext } from "./job.js";
import { type OptionNames, requireKnown } from "./known-options.js";

export declare namespace generateTexts {
  interface Options extends generateText.Sampling, Pick<readPrompt.Options, "chat">, DeviceOptions {
    readonly model: string;
    readonly hub?: HubSettings | undefined;
    readonly dtype?: Dtype | undefined;
    /** A UTF-8 file with one prompt a line. */
    readonly prompts: string;
    /** Texts that end a generation; they are not part of it. */
    readonly stop?: readonly string[];
  }
  interface Result {
    /** What ran the model. */
    readonly device: ExecutionProvider;
    /** In the order of the prompts. */
    readonly texts: readonly GeneratedText[];
    /** Of all prompts together, their reading included. */
    readonly tokensPerSecond: number;
  }
  interface GeneratedText {
    /** The new text, without the prompt. */
    readonly text: string;
    readonly promptTokens: number;
    /** Tokens generated. */
    readonly tokens: number;
    readonly stoppedBy: FinishReason | "stop-text";
  }
}

const OPTIONS: OptionNames<generateTexts.Options> = { ...generationOptions, prompts: true };

/**
 * Continues several prompts at once. Prompt `i`, from 0, draws with seed `seed + i`.
 *
 * @throws {CliError} as `readPromptLines`; and the errors of `readPrompt` and of the runtime.
 */
export async function generateTexts(
  given: generateTexts.Options,
  context: JobContext,
): Promise<generateTexts.Result> {
  const {
    model,
    hub,
    dtype,
    prompts,
    chat,
    device: wanted,
    threads,
    quiet,
    ...options
  } = requireKnown("generateTexts", given, OPTIONS);
  tellUnused(options, context);
  const { device, provider } = await openDevice(
    { device: wanted, threads, quiet },
    context,
    floatType(dtype),
  );
  const [found] = await findModels([model], hub, context);
  const tokens = await promptTokens(found!, dtype, (...place) => readAll(place, prompts, chat));
  return withModels([found!], { provider, dtype }, context, async ([opened]) => ({
    device,
    ...(await continueAll(opened!, tokens, options, context)),
  }));
}

async function readAll(
  [folder, vocabulary]: readonly [folder: string, vocabulary: Vocabulary],
  path: string,
  chat: readPrompt.Options["chat"],
): Promise<readonly (readonly number[])[]> {
  const all: (readonly number[])[] = [];
  for (const { prompt, line } of await readPromptLines(path))
    all.push(await readPrompt(folder, vocabulary, { prompt, chat, source: `${path}, line ${line}` }));
  return all;
}

async function continueAll(
  { lm, config, vocabulary }: OpenedModel,
  prompts: readonly (readonly number[])[],
  { stop, ...sampling }: Pick<generateTexts.Options, "stop"> & generateText.Sampling,
  { onProgress, signal }: JobContext,
): Promise<Omit<generateTexts.Result, "device">> {
  const { decode } = await vocabulary.loadTokenizer();
  const writers = prompts.map((prompt) => textWriter(decode, prompt, stop));
  const started = performance.now();
  const { maxNewTokens = DEFAULT_NEW_TOKENS } = sampling;
  for await (const event of generateBatch(lm, prompts, {
    ...sampling,
    stopTokens: config.eosTokens,
    signal,
  })) {
    const writer = writers[event.sequence]!;
    if ("token" in event) writer.push(event.token);
    else writer.end(event.finishReason);
    if (writers.every(({ ended }) => ended)) break;
    const steps = Math.max(...writers.map(({ result }) => result.tokens));
    onProgress({ label: `${prompts.length} prompts`, done: steps, total: maxNewTokens });
  }
  const texts = writers.map(({ result }) => result);
  const tokens = texts.reduce((sum, { tokens }) => sum + tokens, 0);
  return { texts, tokensPerSecond: tokens / ((performance.now() - started) / 1000) };
}

interface TextWriter {
  readonly ended: boolean;
  readonly result: generateTexts.GeneratedText;
  push(token: number): void;
  end(reason: FinishReason): void;
}

/** The text of one sequence. What comes after a stop text is not its own. */
function textWriter(
  decode: (tokens: readonly number[]) => string,
  prompt: readonly number[],
  stop: readonly string[] | undefined,
): TextWriter {
  const stream = createTextStream(decode, { stopStrings: stop, after: prompt });
  let text = "";
  let tokens = 0;
  let stoppedBy: FinishReason | "stop-text" | undefined;
  return {
    get ended() {
      return stoppedBy !== undefined;
    },
    get result() {
      return { text, promptTokens: prompt.length, tokens, stoppedBy: stoppedBy ?? "max-new-tokens" };
    },
    push(token) {
      if (stoppedBy !== undefined) return;
      tokens++;
      text += stream.push(token);
      if (stream.stopped) stoppedBy = "stop-text";
    },
    end(reason) {
      if (stoppedBy !== undefined) return;
      text += stream.flush();
      stoppedBy = reason;
    },
  };
}
