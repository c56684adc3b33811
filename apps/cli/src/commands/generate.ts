import type { Dtype } from "@kvfold/decoder";
import { Command } from "commander";
import { CliError } from "../cli-error.js";
import type { generateText } from "../jobs/generate.js";
import { addDeviceOptions, type DeviceFlags, deviceOf } from "./device-options.js";
import { type CommandHost, printResult } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import {
  addCommonOptions,
  type CommonOptions,
  dtypeOption,
  numberWithin,
  POLICY_HELP,
  policies,
  wholeNumber,
} from "./options.js";
import { refuseGiven } from "./refuse-given.js";

interface GenerateFlags extends CommonOptions, DeviceFlags, HubFlags {
  readonly prompt?: string;
  readonly prompts?: string;
  readonly saveCache?: string;
  readonly loadCache?: string;
  readonly cache?: string;
  readonly force?: boolean;
  readonly chat?: boolean;
  readonly system?: string;
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
  readonly stop?: readonly string[];
  readonly dtype?: Dtype;
}

/** Above this all tokens are practically equally likely. */
const MAX_TEMPERATURE = 100;
/** A nucleus holds at least the likeliest token, whatever its share. */
const MIN_TOP_P = 1e-6;

/** `kvfold generate`: text, as it comes. */
export const createGenerateCommand = (host: CommandHost): Command =>
  addCommonOptions(
    addDeviceOptions(addHubOptions(new Command("generate")))
      .summary("continue a text, or answer in a chat")
      .description(
        "Continues a prompt and prints the text as it comes. With --chat the model answers the prompt as one turn of a chat.",
      )
      .argument("<model>", "folder with onnx/model.onnx, .onnx file, checkpoint, or owner/name on the Hub")
      .option("--prompt <text>", "the beginning of the text, or with --chat what the user says")
      .option("--prompts <file>", "several prompts, one a line of a UTF-8 file, continued at once")
      .option("--chat", "put the prompt into the model's own chat template")
      .option("--system <text>", "with --chat: instructions before the prompt")
      .option("--max-new-tokens <count>", "tokens to generate at most", wholeNumber(1), 128)
      .option(
        "--temperature <number>",
        "0 always takes the likeliest token",
        numberWithin(0, MAX_TEMPERATURE),
        0,
      )
      .option("--top-k <count>", "draw from the likeliest tokens only", wholeNumber(1))
      .option("--top-p <share>", "draw from the tokens that make up this share", numberWithin(MIN_TOP_P, 1))
      .option("--seed <number>", "for drawing; the same seed gives the same text", wholeNumber(0), 0)
      .option("--stop <texts...>", "end before any of these texts")
      .option("--save-cache <file>", "keep the conversation in a file, the answer included")
      .option("--load-cache <file>", "go on after a kept conversation, which is not read again")
      .option(
        "--cache <policies>",
        "drop or merge tokens of the cache: keydiff:0.5, or several with commas",
        policies,
      )
      .option("--force", "replace an earlier file of --save-cache")
      .addOption(dtypeOption())
      .addHelpText("after", `${HELP}\n${POLICY_HELP}`)
      .action((model: string, flags: GenerateFlags, command: Command) =>
        runGenerate(host, model, flags, command),
      ),
  );

const HELP = `
Examples:
  kvfold generate ./model-half --prompt "It was a dark and" --temperature 0.8 --seed 1
  kvfold generate ./model-half --prompts prompts.txt --max-new-tokens 40
  kvfold generate ./model-half --prompt "It was a dark" --save-cache story.cache
  kvfold generate ./model-half --prompt " Then" --load-cache story.cache --save-cache story.cache
  kvfold generate ./model-half --prompt "Once upon a time" --cache streaming:512t
  kvfold generate ./model-half --chat --system "Be brief." --prompt "What is a KV cache?"`;

async function runGenerate(
  host: CommandHost,
  model: string,
  flags: GenerateFlags,
  command: Command,
): Promise<void> {
  if (flags.prompts !== undefined)
    return runBatch(host, model, { ...flags, prompts: flags.prompts }, command);
  const { prompt, loadCache, saveCache, force, cache } = flags;
  if (prompt === undefined) throw new CliError("usage", "give --prompt TEXT, or --prompts FILE");
  if (saveCache === undefined)
    refuseGiven(command, ["force"], "is about a kept conversation: add --save-cache FILE");
  if (loadCache !== undefined)
    refuseGiven(command, ["system"], "comes before a conversation: leave out --load-cache");
  const onText = flags.json === true ? () => {} : host.write;
  const existing = force === true ? "replace" : "refuse";
  const options = { ...modelOptions(model, flags), prompt, loadCache, saveCache, existing, cache } as const;
  const result = await host.run("generate", options, { quiet: flags.quiet, onText });
  printResult(host, flags, result, () => "");
}

/** Options that would make no sense of several prompts. */
const ONE_PROMPT = ["prompt", "saveCache", "loadCache", "force", "cache"];

async function runBatch(
  host: CommandHost,
  model: string,
  { prompts, ...flags }: GenerateFlags & { readonly prompts: string },
  command: Command,
): Promise<void> {
  refuseGiven(command, ONE_PROMPT, "is for one prompt: leave out --prompts, or this");
  const options = { ...modelOptions(model, flags), prompts };
  const { texts, device } = await host.run("generateBatch", options, { quiet: flags.quiet });
  for (const [index, text] of texts.entries()) {
    const prompt = index + 1;
    host.write(
      flags.json === true
        ? `${JSON.stringify({ prompt, device, ...text })}\n`
        : `${index === 0 ? "" : "\n"}prompt ${prompt}\n${text.text}\n`,
    );
  }
}

/** What all generations take. */
const modelOptions = (model: string, flags: GenerateFlags) => {
  const { dtype, revision, token, cacheDir, chat, system } = flags;
  const { maxNewTokens, temperature, topK, topP, seed, stop } = flags;
  return {
    model,
    hub: hubOf({ revision, token, cacheDir }),
    dtype,
    chat: chatOf(chat, system),
    ...deviceOf(flags),
    maxNewTokens,
    temperature,
    topK,
    topP,
    seed,
    ...(stop === undefined ? {} : { stop }),
  };
};

/** What `--chat` and `--system` say together. */
function chatOf(chat: boolean | undefined, system: string | undefined): generateText.Options["chat"] {
  if (chat === true) return { system };
  if (system === undefined) return undefined;
  throw new CliError("usage", "--system is for conversations: add --chat");
}
