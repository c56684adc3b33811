import type { Dtype } from "@kvfold/decoder";
import { createTextStream, type FinishReason, generate, type TextStream } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModels } from "../models/find-model.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import type { JobContext } from "./job.js";

export declare namespace generateText {
  interface Options extends Omit<generate.Options, "stopTokens" | "signal"> {
    readonly model: string;
    readonly hub?: HubSettings | undefined;
    readonly prompt: string;
    readonly dtype?: Dtype | undefined;
    /** Texts that end the generation; they are not part of it. */
    readonly stop?: readonly string[];
  }
  interface Result {
    /** The new text, without the prompt. */
    readonly text: string;
    /** Tokens generated. */
    readonly tokens: number;
    /** Over the whole generation, the prompt included. */
    readonly tokensPerSecond: number;
    readonly stoppedBy: FinishReason | "stop-text";
  }
}

/**
 * Continues a prompt with a model, text by text as it comes.
 *
 * @throws {CliError} `insufficient-text` for a prompt without a token; and the errors of the runtime.
 */
export async function generateText(
  { model, hub, dtype, ...options }: generateText.Options,
  context: JobContext,
): Promise<generateText.Result> {
  const found = await findModels([model], hub, context);
  return withModels(found, { dtype }, context, ([opened]) => continuePrompt(opened!, options, context));
}

async function continuePrompt(
  { lm, config, vocabulary }: OpenedModel,
  { prompt, stop = [], ...sampling }: Omit<generateText.Options, "model" | "hub" | "dtype">,
  { onText, signal }: JobContext,
): Promise<generateText.Result> {
  const tokenizer = await vocabulary.loadTokenizer();
  const ids = [vocabulary.bosToken ?? [], tokenizer.encode(prompt)].flat();
  if (ids.length === 0)
    throw new CliError("insufficient-text", "--prompt is empty; give the model a beginning");
  const started = performance.now();
  const stream = createTextStream(tokenizer.decode, { stopStrings: stop });
  const generation = generate(lm, ids, { ...sampling, stopTokens: config.eosTokens, signal });
  const { text, tokens, stoppedBy } = await streamText(generation, stream, onText);
  return { text, tokens, tokensPerSecond: tokens / ((performance.now() - started) / 1000), stoppedBy };
}

async function streamText(
  generation: ReturnType<typeof generate>,
  stream: TextStream,
  onText: (text: string) => void,
): Promise<Omit<generateText.Result, "tokensPerSecond">> {
  let tokens = 0;
  let text = "";
  const accept = (piece: string) => {
    text += piece;
    if (piece !== "") onText(piece);
  };
  while (!stream.stopped) {
    const step = await generation.next();
    if (step.done === true) {
      accept(stream.flush());
      return { text, tokens, stoppedBy: step.value };
    }
    tokens++;
    accept(stream.push(step.value));
  }
  // Ends the generator early, which frees its cache; the value is not looked at.
  await generation.return("stop-token");
  return { text, tokens, stoppedBy: "stop-text" };
}
