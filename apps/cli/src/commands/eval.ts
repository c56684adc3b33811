import type { Dtype } from "@kvfold/decoder";
import { Command, Option } from "commander";
import { CliError } from "../cli-error.js";
import { renderContinuations } from "../render/continuations.js";
import { renderCopying } from "../render/copying.js";
import { renderEvaluation } from "../render/evaluation.js";
import { renderRetrieval } from "../render/retrieval.js";
import type { RepeatedTokens } from "../tokens/copy-source.js";
import { type TokenFile, tokenFile, tokenIdFile } from "../tokens/read-tokens.js";
import { addDeviceOptions, type DeviceFlags, deviceOf } from "./device-options.js";
import { type CommandHost, printResult } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import {
  addCommonOptions,
  type CommonOptions,
  dtypeOption,
  POLICY_HELP,
  policyLists,
  wholeNumber,
  wholeNumbers,
} from "./options.js";
import { refuseGiven } from "./refuse-given.js";

interface EvalFlags extends CommonOptions, DeviceFlags, HubFlags {
  readonly text?: readonly string[];
  readonly tokens?: string;
  readonly windows?: number;
  readonly window?: number;
  readonly dtype?: Dtype;
  readonly shift?: readonly number[];
  readonly buckets?: true;
  readonly longPpl?: true;
  readonly shortContext?: number;
  readonly kl: boolean;
  readonly probe?: "copy";
  readonly repeat?: RepeatedTokens;
  readonly distances?: readonly number[];
  readonly length?: number;
  readonly sequences?: number;
  readonly seed: number;
  readonly retrieval?: string;
  readonly limit?: number;
  readonly cache?: readonly string[];
  readonly question?: "unknown" | "known";
}

/** `kvfold eval`: perplexity of models on the same text, how well they copy, or what they find in their context. */
export const createEvalCommand = (host: CommandHost): Command =>
  addCommonOptions(
    addDeviceOptions(addHubOptions(new Command("eval")))
      .summary("measure perplexity, and compare models")
      .description(
        "Measures the perplexity of models on the same text. Ratios are to the first model. Checkpoints are run unfolded.",
      )
      .argument(
        "<models...>",
        "folders with onnx/model.onnx, .onnx files, checkpoints, or owner/name on the Hub",
      )
      .addOption(
        new Option("--text <files...>", "text to predict: UTF-8, or raw token ids in a .u16 or .u32 file"),
      )
      .addOption(
        new Option(
          "--tokens <file>",
          "raw little-endian token ids to predict: uint16, or uint32 in a .u32 file",
        ).conflicts("text"),
      )
      .option("--windows <count>", "windows to measure (default: all there are)", wholeNumber(1))
      .option(
        "--window <tokens>",
        "tokens predicted per window (default: 1024, or the context)",
        wholeNumber(1),
      )
      .option(
        "--shift <list>",
        "measure again with all positions moved by each of these: 0,4096,8192",
        wholeNumbers(0),
      )
      .option("--buckets", "also show nll and ratio by position in the window")
      .option("--long-ppl", "also measure LongPPL: perplexity over tokens that need a long context")
      .option(
        "--short-context <tokens>",
        "LongPPL: what the long context is compared to (default: a quarter of the window, at most 4096)",
        wholeNumber(1),
      )
      .option("--no-kl", "leave out KL and changed first choices, which take two models in memory at a time")
      .addOption(
        new Option(
          "--probe <name>",
          "measure copying instead of perplexity: text that appears again after a gap",
        ).choices(["copy"]),
      )
      .addOption(
        new Option(
          "--repeat <what>",
          "copy: passages of the text (default if there is one), or random tokens of it or of the vocabulary",
        ).choices(["passages", "tokens"]),
      )
      .option(
        "--distances <list>",
        "copy: tokens from the first occurrence to the second (default: 32,64,128,256,512)",
        wholeNumbers(2),
      )
      .option("--length <tokens>", "copy: tokens that appear again (default: 32)", wholeNumber(2))
      .option("--sequences <count>", "copy: sequences for each distance (default: 16)", wholeNumber(1))
      .option(
        "--seed <number>",
        "seed for drawing windows (standard errors) or sequences (copy)",
        wholeNumber(0),
        0,
      )
      .addOption(
        new Option(
          "--retrieval <file>",
          "measure retrieval instead of perplexity: exact answers to prompts, from JSON Lines of { task, length, ids, answer_ids }",
        ).conflicts(NOT_FOR_RETRIEVAL),
      )
      .option("--limit <count>", "retrieval: prompts of each task and length (default: all)", wholeNumber(1))
      .option(
        "--cache <policies...>",
        "let policies drop tokens of the cache after the first half of a window, or after the prompt of --retrieval; each list is measured on its own: keydiff:0.5 snapkv:0.5",
        policyLists,
      )
      .addOption(
        new Option(
          "--question <when>",
          "retrieval with --cache: whether policies act before the last line of a prompt is read, or after it (default: unknown)",
        ).choices(["unknown", "known"]),
      )
      .addOption(dtypeOption())
      .addHelpText("after", `${HELP}\n${POLICY_HELP}`)
      .action((models: readonly string[], flags: EvalFlags, command: Command) => {
        refuseIdle(flags, command);
        return runEval(host, models, flags);
      }),
  );

/** What `--retrieval` takes from its file, or does not know. */
const NOT_FOR_RETRIEVAL = [
  "text",
  "tokens",
  "windows",
  "window",
  "shift",
  "buckets",
  "longPpl",
  "shortContext",
  "kl",
  "probe",
  "repeat",
  "distances",
  "length",
  "sequences",
  "seed",
];

const HELP = `
Examples:
  kvfold eval ./model ./model-half --text book.txt --windows 64
  kvfold eval ./model ./model-half --text book.txt --shift 0,4096,8192
  kvfold eval ./model ./model-half --probe copy --text book.txt
  kvfold eval ./model ./model-half --retrieval pass-keys.jsonl --limit 8
  kvfold eval ./model --text book.txt --windows 16 --cache keydiff:0.5 streaming:0.5
  kvfold eval ./model --retrieval pass-keys.jsonl --cache keydiff:0.5 streaming:0.5`;

/** Refuses what only the other kind of measurement looks at. */
function refuseIdle({ probe, longPpl, retrieval, cache }: EvalFlags, command: Command): void {
  if (cache !== undefined && retrieval === undefined)
    refuseGiven(command, NOT_FOR_CONTINUATIONS, "is not measured with --cache; leave one of them out");
  if (probe === "copy") refuseGiven(command, PERPLEXITY_OPTIONS, "is about perplexity; leave it out");
  else refuseGiven(command, COPY_OPTIONS, "is about copying; add --probe copy, or leave it out");
  if (longPpl !== true) refuseGiven(command, ["shortContext"], "is about LongPPL; add --long-ppl");
}

const NOT_FOR_CONTINUATIONS = ["shift", "buckets", "longPpl", "shortContext", "kl", "probe", "seed"];
const PERPLEXITY_OPTIONS = ["windows", "window", "shift", "buckets", "longPpl", "shortContext", "kl"];
const COPY_OPTIONS = ["repeat", "distances", "length", "sequences"];

async function runEval(host: CommandHost, models: readonly string[], flags: EvalFlags): Promise<void> {
  if (flags.retrieval !== undefined) return runRetrievalProbe(host, models, flags, flags.retrieval);
  if (flags.limit !== undefined) {
    throw new CliError(
      "usage",
      "--limit counts prompts of --retrieval FILE; use --windows to measure less text",
    );
  }
  if (flags.question !== undefined)
    throw new CliError("usage", "--question is about prompts of --retrieval FILE; add it, or leave it out");
  if (flags.probe === "copy") return runCopyProbe(host, models, flags);
  const { windows, window, dtype, shift, buckets, seed } = flags;
  const files = filesOf(flags);
  if (files.length === 0) {
    throw new CliError("usage", "give text to predict with --text FILE…, or token ids with --tokens FILE");
  }
  if (flags.cache !== undefined) return runContinuations(host, models, flags, flags.cache);
  const result = await host.run(
    "evaluate",
    {
      models,
      hub: hubOf(flags),
      ...deviceOf(flags),
      files,
      windows,
      window,
      dtype,
      shifts: shift,
      divergence: flags.kl ? "measure" : "skip",
      longPerplexity: flags.longPpl && { shortContext: flags.shortContext },
      seed,
    },
    flags,
  );
  const tables = buckets ? (["positions"] as const) : [];
  printResult(host, flags, result, (evaluation) => renderEvaluation(evaluation, { tables }, host.colours));
}

async function runContinuations(
  host: CommandHost,
  models: readonly string[],
  flags: EvalFlags,
  cache: readonly string[],
): Promise<void> {
  const { windows, window, dtype } = flags;
  const on = { hub: hubOf(flags), ...deviceOf(flags) };
  const options = { models, ...on, files: filesOf(flags), windows, window, dtype, cache };
  printResult(host, flags, await host.run("evaluatePolicies", options, flags), (result) =>
    renderContinuations(result, host.colours),
  );
}

async function runCopyProbe(host: CommandHost, models: readonly string[], flags: EvalFlags): Promise<void> {
  const { repeat, distances, length, sequences, seed, dtype } = flags;
  const options = {
    models,
    hub: hubOf(flags),
    ...deviceOf(flags),
    files: filesOf(flags),
    repeat,
    distances,
    length,
    sequences,
    seed,
    dtype,
  };
  printResult(host, flags, await host.run("probeCopying", options, flags), (result) =>
    renderCopying(result, host.colours),
  );
}

async function runRetrievalProbe(
  host: CommandHost,
  models: readonly string[],
  flags: EvalFlags,
  file: string,
): Promise<void> {
  const { limit, dtype, cache, question } = flags;
  if (question !== undefined && cache === undefined)
    throw new CliError("usage", "--question says when policies of --cache act; add --cache, or leave it out");
  const options = { models, hub: hubOf(flags), ...deviceOf(flags), file, limit, dtype, cache, question };
  printResult(host, flags, await host.run("probeRetrieval", options, flags), (result) =>
    renderRetrieval(result, host.colours),
  );
}

function filesOf({ text, tokens }: EvalFlags): readonly TokenFile[] {
  if (tokens !== undefined) return [tokenIdFile(tokens)];
  return text?.map(tokenFile) ?? [];
}
