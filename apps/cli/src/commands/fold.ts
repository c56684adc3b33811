import { existsSync } from "node:fs";
import type { Shard } from "@kvfold/calibration";
import {
  budgets,
  type CacheBits,
  type Chunk,
  DEFAULT_METHOD,
  type FoldPlan,
  type Metric,
  methods,
  type StoredDtype,
} from "@kvfold/converter";
import { Command, InvalidArgumentError, Option } from "commander";
import { CliError } from "../cli-error.js";
import { journalFolder } from "../files/journal-folder.js";
import type { Goal } from "../goals/goal.js";
import type { Spread } from "../jobs/open-spread.js";
import { renderFold } from "../render/fold.js";
import { renderPlan } from "../render/plan.js";
import { addCalibrationOptions, type CalibrationFlags, calibrationOf } from "./calibration-options.js";
import { addFoldDeviceOptions, type DeviceFlags, deviceOf } from "./device-options.js";
import { type CommandHost, printResult } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import {
  addCommonOptions,
  byteCount,
  type CommonOptions,
  cacheBitsOf,
  dtypeList,
  duration,
  METRICS,
  readShard,
  someOf,
  tokenCount,
  wholeNumber,
} from "./options.js";
import { refuseGiven } from "./refuse-given.js";

type Heal = FoldPlan["heal"];
type Format = FoldPlan["formats"][number];

const FORMATS: readonly Format[] = ["onnx", "hf", "gguf"];
const HEALS: readonly Heal[] = ["none", "attention", "both"];

interface FoldFlags extends CalibrationFlags, CommonOptions, DeviceFlags, HubFlags {
  readonly output?: string;
  readonly keep?: string;
  readonly maxLoss?: number;
  readonly maxBytes?: number;
  readonly recipe?: string;
  readonly method?: string;
  readonly budget: string | undefined;
  readonly metric?: Metric;
  readonly heal?: Heal;
  readonly span?: number;
  readonly keySpan?: number;
  readonly valueSpan?: number;
  readonly keyShare?: string;
  readonly chunk?: Chunk;
  readonly format: readonly Format[];
  readonly dtype: readonly StoredDtype[];
  readonly seed: number;
  readonly maxPositions?: number;
  readonly cacheBits?: readonly CacheBits[];
  readonly context?: number;
  readonly moments?: string;
  readonly saveMoments?: string;
  readonly shard?: Shard;
  readonly exchange?: string;
  readonly exchangeTimeout?: number;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

/** `kvfold fold`: a checkpoint to a folder with a smaller KV cache. */
export function createFoldCommand(host: CommandHost): Command {
  const command = new Command("fold")
    .summary("fold a checkpoint's KV heads into fewer")
    .description(
      "Folds the KV heads of a Hugging Face checkpoint and writes a model with a smaller KV cache.",
    )
    .argument(
      "<model>",
      "checkpoint folder (config.json and safetensors), decoder graph of another exporter, or owner/name on the Hub",
    )
    .option("-o, --output <folder>", "where the folded model goes")
    .option("--keep <share>", "share of the KV cache to keep: 1/2, 1/4, 0.5 …")
    .addOption(
      new Option(
        "--max-loss <share>",
        "instead of --keep: the smallest cache with which perplexity rises by no more, on windows of the calibration text that are held out: 2%; method and budget are chosen, too, unless they are given",
      )
        .argParser(lossShare)
        .conflicts(["keep", "maxBytes", "recipe"]),
    )
    .addOption(
      new Option(
        "--max-bytes <size>",
        "instead of --keep: the largest share of the cache that takes no more, for a token (4KiB) or for a context (512MiB/32k); method and budget are chosen, too, unless they are given",
      )
        .argParser(bytesPerToken)
        .conflicts(["keep", "recipe"]),
    )
    .addOption(
      new Option(
        "--recipe <file>",
        "instead of --keep: repeat the fold that wrote this kvfold.json; name its text with --calibration",
      ).conflicts("keep"),
    )
    .addOption(methodOption())
    .addOption(budgetOption())
    .option("--span <heads>", "KV heads that share one folded head (default: the method's)", wholeNumber(1))
    .addOption(spanOption("--key-span <heads>", "the same, for keys only"))
    .addOption(spanOption("--value-span <heads>", "the same, for values only"))
    .option(
      "--key-share <share>",
      "share of the cache for keys: 1/3, 0.4 … (default: the method's, most often 1/2)",
    )
    .addOption(chunkOption())
    .addOption(formatsOption())
    .addOption(dtypesOption())
    .option(
      "--seed <number>",
      "for methods that draw random numbers, and for --metric loss",
      wholeNumber(0),
      0,
    )
    .option(
      "--context <tokens>",
      "for methods that fold rotated keys: positions their bases are made for (default: the model's context, to 32768)",
      wholeNumber(1),
    )
    .option("--max-positions <tokens>", "context of the output (default: the model's)", wholeNumber(1))
    .option(
      "--cache-bits <bits>",
      "write graphs with caches of 8 or 4 bits, too, for --cache int8 and int4 on the CPU: 8, 4 or 8,4",
      cacheBitsOf,
    )
    .addOption(
      new Option(
        "--metric <name>",
        "for methods that weigh errors: by what they do to a layer's output, or to the loss, which takes a backward pass (default: output)",
      ).choices(METRICS),
    )
    .addOption(
      new Option("--heal <parts>", "what is refitted after folding (default: the method's)").choices(HEALS),
    )
    .option("--moments <file>", "reuse these measurements; the text is then only used for healing")
    .addOption(new Option("--save-moments <file>", "keep the measurements").conflicts("moments"))
    .option("--shard <i/n>", "run part i of n of the windows, beside other processes: 3/16", readShard)
    .option("--exchange <folder>", "with --shard: a shared folder through which they add their sums")
    .option(
      "--exchange-timeout <time>",
      "how long to wait there for another shard: 90s, 30m, 2h (default: 1h)",
      duration,
    )
    .option("--resume", "keep finished blocks while folding, and continue a stopped fold from them")
    .option("--force", "replace an earlier output")
    .option("--dry-run", "print the plan and write nothing")
    .addHelpText("after", HELP)
    .action((model: string, flags: FoldFlags, own: Command) => {
      if (!flags.format.includes("onnx") && !flags.format.includes("gguf"))
        refuseGiven(
          own,
          ["maxPositions"],
          "limits ONNX graphs and GGUF files; add --format onnx or gguf, or leave it out",
        );
      if (!flags.format.includes("onnx"))
        refuseGiven(own, ["cacheBits"], "is for ONNX graphs; add --format onnx, or leave it out");
      if (flags.recipe !== undefined)
        refuseGiven(own, RECIPE_SETTLES, "is settled by --recipe; leave it out");
      return runFold(host, model, flags);
    });
  return addCommonOptions(addFoldDeviceOptions(addHubOptions(addCalibrationOptions(command))));
}

/** Options that a recipe holds. */
const RECIPE_SETTLES = [
  "method",
  "budget",
  "span",
  "keySpan",
  "valueSpan",
  "keyShare",
  "chunk",
  "format",
  "dtype",
  "seed",
  "context",
  "maxPositions",
  "cacheBits",
  "metric",
  "heal",
  "windows",
  "window",
  "bos",
];

/** Reads `2%` or `0.02`. */
function lossShare(text: string): number {
  const [, number = "", percent] = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*$/.exec(text) ?? [];
  const share = percent === "%" ? Number(number) / 100 : Number(number);
  if (number !== "" && share > 0 && (percent === "%" || share < 1)) return share;
  throw new InvalidArgumentError("Expected a share above 0, such as 2% or 0.02.");
}

/** Reads `4KiB` for a token, or `512MiB/32k` for a context. */
function bytesPerToken(text: string): number {
  const [size = "", tokens, ...more] = text.split("/");
  if (more.length > 0)
    throw new InvalidArgumentError("Expected a size, such as 4KiB, or one for a context: 512MiB/32k.");
  return byteCount(size) / (tokens === undefined ? 1 : tokenCount(tokens));
}

const methodOption = (): Option =>
  new Option(
    "--method <name>",
    `how heads are folded (default: ${DEFAULT_METHOD}, or none with --keep 1)`,
  ).choices(methods.map(({ name }) => name));

const budgetOption = (): Option =>
  new Option(
    "--budget <name>",
    "how the ranks that --keep leaves are shared out among the layers (default: power for anchored, else uniform)",
  ).choices(budgets.map(({ name }) => name));

const spanOption = (flags: string, description: string): Option =>
  new Option(flags, description).argParser(wholeNumber(1)).conflicts("span");

const chunkOption = (): Option =>
  new Option(
    "--chunk <slots>",
    "for anchored: slots of the chunks within which keys are turned; 1 expands keys instead; 16,0.4 means 16, or 64 where a pair turns by at most 0.4 radians in them (default: 16,0.4, or 8,0.8 where 1/8 or less is kept)",
  ).argParser(chunkOf);

function chunkOf(text: string): Chunk {
  const [least = Number.NaN, phase, ...more] = text.split(",").map((part) => Number(part.trim() || "?"));
  if (more.length === 0 && Number.isFinite(least) && !Number.isNaN(phase))
    return phase === undefined ? least : { least, phase };
  throw new InvalidArgumentError("Give a number of slots, such as 16, or slots and radians, such as 16,0.4.");
}

const formatsOption = (): Option =>
  new Option(
    "--format <formats>",
    "onnx, hf (a checkpoint for plain GQA code), gguf (for llama.cpp), or several as onnx,gguf",
  )
    .argParser(someOf(FORMATS))
    .default(["onnx"], "onnx");

const dtypesOption = (): Option =>
  new Option(
    "--dtype <types>",
    "weights in fp32, fp16, q4 (onnx only), q8 (gguf only), or several as fp32,q4",
  )
    .argParser(dtypeList)
    .default(["fp32"], "fp32");

const HELP = `
Methods:
${methods.map(({ name, summary }) => `  ${name.padEnd(21)} ${summary}`).join("\n")}

Budgets:
${budgets.map(({ name, summary }) => `  ${name.padEnd(21)} ${summary}`).join("\n")}

Examples:
  kvfold fold ./model -o ./model-half --keep 1/2 --calibration text.txt
  kvfold fold ./model -o ./model-gqa --keep 1/2 --method commuting --format hf --calibration text.txt
  kvfold fold ./model -o ./model-gguf --keep 1/2 --method commuting --format gguf --dtype q8 --calibration text.txt
  kvfold fold ./model -o ./model-quarter --keep 1/4 --budget knapsack --calibration text.txt --resume
  kvfold fold HuggingFaceTB/SmolLM2-135M -o ./smol-half --keep 1/2 --dtype fp32,q4 --calibration text.txt
  kvfold fold ./model -o ./model-small --max-loss 2% --calibration text.txt
  kvfold fold ./model -o ./model-again --recipe ./model-small/kvfold.json --calibration text.txt
  kvfold fold ./model -o ./model-half --keep 1/2 --cache-bits 8,4 --calibration text.txt
  kvfold fold ./model -o ./model-half --keep 1/2 --calibration text.txt --shard 3/16 --exchange ./sums --resume
  kvfold fold ./model --keep 1/4 --dry-run`;

async function runFold(host: CommandHost, model: string, flags: FoldFlags): Promise<void> {
  const { keep, maxLoss, maxBytes, recipe } = flags;
  if ([keep, maxLoss, maxBytes, recipe].every((aim) => aim === undefined))
    throw new CliError(
      "usage",
      "say how far to fold: --keep SHARE, --max-loss SHARE, --max-bytes SIZE or --recipe FILE",
    );
  const {
    method,
    budget,
    metric,
    heal,
    span,
    keySpan = span,
    valueSpan = span,
    seed,
    maxPositions,
    cacheBits,
  } = flags;
  const { format: formats, dtype: dtypes } = flags;
  const sides = { keySpan, valueSpan, keyShare: flags.keyShare, chunk: flags.chunk, context: flags.context };
  const hub = hubOf(flags);
  const planned = {
    model,
    hub,
    method,
    budget,
    metric,
    heal,
    ...sides,
    formats,
    dtypes,
    seed,
    maxPositions,
    cacheBits,
  };
  if (flags.dryRun) {
    if (maxLoss !== undefined)
      throw new CliError("usage", "--max-loss folds to find the share; leave out --dry-run, or give --keep");
    const plan = await host.run("plan", { ...planned, keep, recipe, maxBytes }, flags);
    return printResult(host, flags, plan, (found) => renderPlan(found, host.colours));
  }
  const { output, moments, saveMoments, resume, force } = flags;
  if (output === undefined || output === "")
    throw new CliError("usage", "name the output with -o FOLDER, or add --dry-run");
  const existing = force ? "replace" : "refuse";
  const calibration = calibrationOf(flags);
  const spread = spreadOf(flags);
  const journal = resume ? journalFolder(output, flags.shard) : undefined;
  const work = { existing, calibration, moments, saveMoments, spread, journal, ...deviceOf(flags) } as const;
  const options = { ...planned, keep, goal: goalOf(flags), recipe, output, ...work };
  const result = await host.run("fold", options, flags).catch((error: unknown) => {
    throw journal === undefined ? error : withJournal(error, journal);
  });
  printResult(host, flags, result, (folded) => renderFold(folded, host.colours));
}

/** How the fold is shared, if it is: a shard alone would be a fold of a part of the text. */
function spreadOf({
  shard,
  exchange: folder,
  exchangeTimeout: timeoutSeconds,
}: FoldFlags): Spread | undefined {
  if (shard !== undefined && folder !== undefined) return { shard, folder, timeoutSeconds };
  const given = [shard, folder, timeoutSeconds].findIndex((value) => value !== undefined);
  if (given < 0) return undefined;
  const flag = ["--shard", "--exchange", "--exchange-timeout"][given];
  throw new CliError(
    "usage",
    `${flag} is for folds on several machines: give --shard I/N and --exchange FOLDER`,
  );
}

function goalOf({ maxLoss, maxBytes }: FoldFlags): Goal | undefined {
  if (maxLoss !== undefined) return { maxLoss };
  return maxBytes === undefined ? undefined : { maxBytes };
}

/** Says after an interrupt what is left of the work, if anything is. */
function withJournal(error: unknown, journal: string): unknown {
  if (!CliError.isInstance(error) || error.code !== "interrupted" || !existsSync(journal)) return error;
  return new CliError(
    "interrupted",
    `interrupted; what is finished is kept in ${journal}, continue with the same command`,
    { cause: error },
  );
}
