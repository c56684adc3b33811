import { existsSync } from "node:fs";
import { ADAPTED_PARTS, type AdapterPlace, type TuneSettings } from "@kvfold/converter";
import { tuneSettings } from "@kvfold/converter/internals";
import { tuningStatePath } from "@kvfold/converter/node";
import { Command, Option } from "commander";
import { CliError } from "../cli-error.js";
import { renderTuning } from "../render/tune.js";
import { tokenFile } from "../tokens/read-tokens.js";
import { addDeviceOptions, type DeviceFlags, deviceOf } from "./device-options.js";
import { type CommandHost, printResult } from "./host.js";
import { addCommonOptions, type CommonOptions, numberWithin, someOf, wholeNumber } from "./options.js";

const PLACES: readonly AdapterPlace[] = ["merge", "keep"];

type Part = TuneSettings["parts"][number];

interface TuneFlags extends CommonOptions, DeviceFlags {
  readonly original: string;
  readonly text: readonly string[];
  readonly output: string;
  readonly loss: TuneSettings["loss"];
  readonly steps: number;
  readonly windows: number;
  readonly window?: number;
  readonly learningRate: number;
  readonly warmUp?: number;
  readonly rank: number;
  readonly alpha?: number;
  readonly parts?: readonly Part[];
  readonly adapters: AdapterPlace;
  readonly heldOut?: number;
  readonly seed: number;
  readonly resume?: boolean;
  readonly force?: boolean;
}

/** `kvfold tune`: a folded model to one that predicts more like the original. */
export function createTuneCommand(host: CommandHost): Command {
  const defaults = tuneSettings({});
  const command = new Command("tune")
    .summary("train a folded model to predict what the original predicts")
    .description(
      "Trains low-rank adapters (LoRA) on a folded model, a block at a time, and writes it with the adapters in its weights.",
    )
    .argument("<folded>", "folder that kvfold fold wrote")
    .requiredOption("--original <model>", "folder of the checkpoint that was folded")
    .requiredOption("--text <files...>", "text to learn from: UTF-8, or raw token ids in a .u16 or .u32 file")
    .requiredOption("-o, --output <folder>", "where the tuned model goes")
    .addOption(
      new Option("--loss <name>", "distillation: the original's predictions; text: the text itself")
        .choices(["distillation", "text"])
        .default(defaults.loss),
    )
    .option("--steps <count>", "steps of training", wholeNumber(1), defaults.steps)
    .option("--windows <count>", "windows of a step", wholeNumber(1), defaults.windowsPerStep)
    .option("--window <tokens>", "tokens of a window (default: 1024, or the model's context)", wholeNumber(2))
    .option(
      "--learning-rate <rate>",
      "the highest, after the rise",
      numberWithin(0, 1),
      defaults.learningRate,
    )
    .option("--warm-up <steps>", "steps that it rises in (default: a twentieth of all)", wholeNumber(1))
    .option("--rank <rank>", "rank of the adapters", wholeNumber(1), defaults.rank)
    .option("--alpha <number>", "adapters count alpha / rank (default: the rank)", numberWithin(0, 1e6))
    .addOption(
      new Option(
        "--parts <names>",
        `what has adapters: ${ADAPTED_PARTS.join(", ")} (default: all)`,
      ).argParser(someOf(ADAPTED_PARTS)),
    )
    .addOption(
      new Option(
        "--adapters <place>",
        "merge: add them to the weights; keep: write them beside the model, which stays as it was folded",
      )
        .choices(PLACES)
        .default(PLACES[0]),
    )
    .option("--held-out <windows>", "last windows of the text, to stop by (default: up to 8)", wholeNumber(0))
    .option("--seed <number>", "of the adapters and the order of windows", wholeNumber(0), defaults.seed)
    .option("--resume", "keep the state while tuning, and continue a stopped tuning from it")
    .option("--force", "replace an earlier output")
    .addHelpText("after", HELP)
    .action((folded: string, flags: TuneFlags) => runTune(host, folded, flags));
  return addCommonOptions(addDeviceOptions(command));
}

const HELP = `
Examples:
  kvfold tune ./model-quarter --original ./model --text book.txt -o ./model-tuned
  kvfold tune ./model-quarter --original ./model --text book.txt -o ./model-tuned --steps 100 --resume`;

async function runTune(host: CommandHost, folded: string, flags: TuneFlags): Promise<void> {
  const { original, output, loss, steps, windows: windowsPerStep, window, learningRate, warmUp } = flags;
  const { rank, alpha, parts, adapters, heldOut, seed, resume = false, force } = flags;
  const text = { files: flags.text.map(tokenFile), window };
  const training = { loss, steps, windowsPerStep, learningRate, warmUp, rank, alpha, parts, heldOut, seed };
  const existing = force ? "replace" : "refuse";
  const options = {
    folded,
    original,
    output,
    text,
    existing,
    resume,
    adapters,
    ...training,
    ...deviceOf(flags),
  } as const;
  const result = await host.run("tune", options, flags).catch((error: unknown) => {
    throw resume ? withState(error, tuningStatePath(output)) : error;
  });
  printResult(host, flags, result, (tuned) => renderTuning(tuned, host.colours));
}

/** Says after an interrupt what is left of the work, if anything is. */
function withState(error: unknown, path: string): unknown {
  if (!CliError.isInstance(error) || error.code !== "interrupted" || !existsSync(path)) return error;
  return new CliError(
    "interrupted",
    `interrupted; the state is kept in ${path}, continue with the same command`,
    {
      cause: error,
    },
  );
}
