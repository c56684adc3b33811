import type { Dtype } from "@kvfold/decoder";
import { Command } from "commander";
import { CliError } from "../cli-error.js";
import type { generateText } from "../jobs/generate.js";
import { addDeviceOptions, type DeviceFlags, deviceOf } from "./device-options.js";
import { type CommandHost, printResult } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import { addCommonOptions, type CommonOptions, dtypeOption, numberWithin, wholeNumber } from "./options.js";

interface GenerateFlags extends CommonOptions, DeviceFlags, HubFlags {
  readonly prompt: string;
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

/** Beyond this all tokens are as good as equally likely. */
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
      .requiredOption("--prompt <text>", "the beginning of the text, or with --chat what the user says")
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
      .addOption(dtypeOption())
      .addHelpText("after", HELP)
      .action((model: string, flags: GenerateFlags) => runGenerate(host, model, flags)),
  );

const HELP = `
Examples:
  kvfold generate ./model-half --prompt "It was a dark and" --temperature 0.8 --seed 1
  kvfold generate ./model-half --chat --system "Be brief." --prompt "What is a KV cache?"`;

async function runGenerate(host: CommandHost, model: string, flags: GenerateFlags): Promise<void> {
  const { json, quiet, verbose: _, dtype, revision, token, cacheDir, chat, system, ...sampling } = flags;
  const onText = json === true ? () => {} : host.write;
  const hub = hubOf({ revision, token, cacheDir });
  const options = { model, hub, dtype, chat: chatOf(chat, system), ...deviceOf(flags), ...sampling };
  const result = await host.run("generate", options, { quiet, onText });
  printResult(host, flags, result, () => "");
}

/** What `--chat` and `--system` say together. */
function chatOf(chat: boolean | undefined, system: string | undefined): generateText.Options["chat"] {
  if (chat === true) return { system };
  if (system === undefined) return undefined;
  throw new CliError("usage", "--system is for conversations: add --chat");
}
