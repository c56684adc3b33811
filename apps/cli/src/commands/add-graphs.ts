import type { CacheBits } from "@kvfold/converter";
import { Command } from "commander";
import { type CommandHost, printResult } from "./host.js";
import { addHubOptions, type HubFlags, hubOf } from "./hub-options.js";
import { addCommonOptions, type CommonOptions, cacheBitsOf } from "./options.js";

interface AddGraphsFlags extends CommonOptions, HubFlags {
  readonly original: string;
  readonly cacheBits?: readonly CacheBits[];
}

/** `kvfold add-graphs`: more graphs for a folded model, over the weights that it has. */
export const createAddGraphsCommand = (host: CommandHost): Command =>
  addCommonOptions(
    addHubOptions(new Command("add-graphs"))
      .summary("add graphs to a folded model, over the weights that it has")
      .description(
        "Writes the graphs that a folded model lacks into its folder: with caches of 8 or 4 bits, and those that earlier versions of kvfold did not write.\nThe weights stay as they are.",
      )
      .argument("<folder>", "output of a fold")
      .requiredOption(
        "--original <model>",
        "the checkpoint that was folded: a folder (config.json is enough), or owner/name on the Hub",
      )
      .option("--cache-bits <bits>", "graphs for --cache int8 and int4: 8, 4 or 8,4", cacheBitsOf)
      .addHelpText("after", HELP)
      .action((folder: string, flags: AddGraphsFlags) => runAddGraphs(host, folder, flags)),
  );

const HELP = `
Example:
  kvfold add-graphs ./model-half --original ./model --cache-bits 8,4`;

async function runAddGraphs(host: CommandHost, folder: string, flags: AddGraphsFlags): Promise<void> {
  const { original, cacheBits } = flags;
  const options = { folder, original, hub: hubOf(flags), cacheBits };
  const result = await host.run("addGraphs", options, flags);
  printResult(host, flags, result, ({ added }) =>
    added.length === 0 ? "nothing to add: the graphs are there" : added.join("\n"),
  );
}
