import { Command } from "commander";
import { renderMerged } from "../render/measured.js";
import { type CommandHost, printResult } from "./host.js";
import { addCommonOptions, type CommonOptions } from "./options.js";

interface MergeFlags extends CommonOptions {
  readonly output: string;
  readonly force?: boolean;
}

/** `kvfold merge`: the shards of a measurement to one. */
export const createMergeCommand = (host: CommandHost): Command =>
  addCommonOptions(
    new Command("merge")
      .summary("add the shards of a measurement")
      .description("Adds the shards that kvfold measure --shard wrote. A shard that is missing is named.")
      .argument("<files...>", "one file for each shard, in any order")
      .requiredOption("-o, --output <file>", "where the moments go, such as moments.safetensors")
      .option("--force", "replace a file that is there")
      .addHelpText("after", HELP)
      .action((files: readonly string[], flags: MergeFlags) => runMerge(host, files, flags)),
  );

const HELP = `
Example:
  kvfold merge part-*.safetensors -o moments.safetensors`;

async function runMerge(host: CommandHost, files: readonly string[], flags: MergeFlags): Promise<void> {
  const { output, force } = flags;
  const result = await host.run("merge", { files, output, existing: force ? "replace" : "refuse" }, flags);
  printResult(host, flags, result, (merged) => renderMerged(merged, host.colours));
}
