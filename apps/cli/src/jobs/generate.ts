import type { Dtype } from "@kvfold/decoder";
import {
  createTextStream,
  type FinishReason,
  type Generation,
  generate,
  type TextStream,
} from "@kvfold/runtime";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import type { HubSettings } from "../hub/hub-settings.js";
import { type FoundModel, findModels } from "../models/find-model.js";
import { readFolderConfig } from "../models/folder-config.js";
import { locateModel } from "../models/locate-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import { readPrompt } from "../tokens/read-prompt.js";
import { folderVocabulary } from "../tokens/vocabulary.js";
import type { JobContext } from "./job.js";

export declare namespace generateText {
  interface Options
    extends Omit<generate.Options, "stopTokens" | "signal">,
      readPrompt.Options,
      DeviceOptions {
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
    /** Tokens generated. */
    readonly tokens: number;
    /** Over the whole generation, the prompt included. */
    readonly tokensPerSecond: number;
    readonly stoppedBy: FinishReason | "stop-text";
  }
}

/**
 * Continues a prompt, or answers it, with a model: text by text as it comes.
 *
 * @throws {CliError} `insufficient-text` for a prompt without a token; and the errors of `readPrompt` and of the runtime.
 */
export async function generateText(
  { model, hub, dtype, prompt, chat, device: wanted, threads, quiet, ...options }: generateText.Options,
  context: JobContext,
): Promise<generateText.Result> {
  tellUnused(options, context);
  const { device, provider } = await openDevice(
    { device: wanted, threads, quiet },
    context,
    floatType(dtype),
  );
  const [found] = await findModels([model], hub, context);
  const tokens = await promptTokens(found!, dtype, { prompt, chat });
  return withModels([found!], { provider, dtype }, context, async ([opened]) => ({
    device,
    ...(await continuePrompt(opened!, tokens, options, context)),
  }));
}

/** Names options for drawing where nothing is drawn. */
function tellUnused(
  { temperature = 0, topK, topP, seed = 0 }: Pick<generate.Options, "temperature" | "topK" | "topP" | "seed">,
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
async function promptTokens(
  { path }: FoundModel,
  dtype: Dtype | undefined,
  options: readPrompt.Options,
): Promise<readonly number[]> {
  const { folder } = await locateModel(path, dtype);
  return readPrompt(folder, folderVocabulary(folder, await readFolderConfig(folder)), options);
}

async function continuePrompt(
  { lm, config, vocabulary }: OpenedModel,
  prompt: readonly number[],
  { stop, ...sampling }: Pick<generateText.Options, "stop"> & Omit<generate.Options, "stopTokens" | "signal">,
  { onText, signal }: JobContext,
): Promise<Omit<generateText.Result, "device">> {
  const { decode } = await vocabulary.loadTokenizer();
  const started = performance.now();
  const stream = createTextStream(decode, { stopStrings: stop, after: prompt });
  const generation = generate(lm, prompt, { ...sampling, stopTokens: config.eosTokens, signal });
  const { text, tokens, stoppedBy } = await streamText(generation, stream, onText);
  const tokensPerSecond = tokens / ((performance.now() - started) / 1000);
  return { text, promptTokens: prompt.length, tokens, tokensPerSecond, stoppedBy };
}

async function streamText(
  generation: Generation,
  stream: TextStream,
  onText: (text: string) => void,
): Promise<Pick<generateText.Result, "text" | "tokens" | "stoppedBy">> {
  let tokens = 0;
  let text = "";
  const accept = (piece: string) => {
    text += piece;
    if (piece !== "") onText(piece);
  };
  for await (const token of generation) {
    tokens++;
    accept(stream.push(token));
    if (stream.stopped) break;
  }
  accept(stream.flush());
  return { text, tokens, stoppedBy: stream.stopped ? "stop-text" : generation.finishReason! };
}
