import { DEFAULT_METHOD, methods } from "@kvfold/converter";
import type { Dtype } from "@kvfold/decoder";
import { Command, Option } from "commander";
import { CliError } from "../cli-error.js";
import { renderFit } from "../render/fit.js";
import { type CommandHost, printResult } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import { addCommonOptions, byteCount, type CommonOptions, graphDtypeList, tokenCount } from "./options.js";

interface FitFlags extends CommonOptions, HubFlags {
  readonly memory?: number;
  readonly context?: number;
  readonly keep?: readonly string[];
  readonly method?: string;
  readonly dtype?: readonly Dtype[];
}

/** `kvfold fit`: how long a context fits into memory, or how much memory one takes. */
export const createFitCommand = (host: CommandHost): Command =>
  addCommonOptions(
    addHubOptions(new Command("fit"))
      .summary("show how long a context fits into memory")
      .description(
        "Shows how long a context fits into memory, original and folded, or how much memory a context takes.\nIt reads only config.json.",
      )
      .argument("<model>", "checkpoint folder (config.json is enough), or owner/name on the Hub")
      .addOption(
        new Option("--memory <size>", "memory for weights and cache: 2GiB, 512MiB")
          .argParser(byteCount)
          .conflicts("context"),
      )
      .option("--context <tokens>", "show what this context takes instead: 4096, 32k", tokenCount)
      .option("--keep <shares>", "shares of the cache (default: 1,1/2,1/4,1/8)", (text) => text.split(","))
      .addOption(
        new Option("--method <name>", `how heads are folded (default: ${DEFAULT_METHOD})`).choices(
          methods.map(({ name }) => name),
        ),
      )
      .option("--dtype <types>", "types of weights (default: fp32,fp16,q4)", graphDtypeList)
      .addHelpText("after", HELP)
      .action((model: string, flags: FitFlags) => runFit(host, model, flags)),
  );

const HELP = `
Examples:
  kvfold fit ./model --memory 2GiB
  kvfold fit HuggingFaceTB/SmolLM2-135M --context 32k --dtype fp16 --json`;

async function runFit(host: CommandHost, model: string, flags: FitFlags): Promise<void> {
  const { memory, context, keep: keeps, method, dtype: dtypes } = flags;
  if (memory === undefined && context === undefined)
    throw new CliError("usage", "give --memory SIZE, such as 2GiB, or --context TOKENS, such as 32k");
  const limit = memory === undefined ? { context: context! } : { memory };
  const result = await host.run("fit", { model, hub: hubOf(flags), limit, keeps, method, dtypes }, flags);
  printResult(host, flags, result, (fit) => renderFit(fit, host.colours));
}
