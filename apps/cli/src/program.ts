import { Command } from "commander";
import { createAddGraphsCommand } from "./commands/add-graphs.js";
import { createBenchCommand } from "./commands/bench.js";
import { createEvalCommand } from "./commands/eval.js";
import { createFitCommand } from "./commands/fit.js";
import { createFoldCommand } from "./commands/fold.js";
import { createGenerateCommand } from "./commands/generate.js";
import type { CommandHost } from "./commands/host.js";
import { createInspectCommand } from "./commands/inspect.js";
import { createMeasureCommand } from "./commands/measure.js";
import { createMergeCommand } from "./commands/merge.js";
import { createPushCommand } from "./commands/push.js";
import { createServeCommand } from "./commands/serve.js";
import { createTuneCommand } from "./commands/tune.js";
import { readVersion } from "./version.js";

/**
 * The command line as a whole. It never ends the process and prints no errors: both are left to the caller, as
 * thrown errors.
 */
export function createProgram(host: CommandHost): Command {
  const program = new Command("kvfold")
    .description("Folds the KV heads of a language model: a smaller KV cache, almost the same answers.")
    .version(readVersion(), "-V, --version");
  for (const create of creators) program.addCommand(create(host));
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .configureOutput({ writeOut: host.write, outputError() {} })
      .configureHelp({ helpWidth: HELP_WIDTH })
      .showSuggestionAfterError();
  }
  return program;
}

const creators = [
  createInspectCommand,
  createFitCommand,
  createFoldCommand,
  createMeasureCommand,
  createMergeCommand,
  createTuneCommand,
  createAddGraphsCommand,
  createEvalCommand,
  createGenerateCommand,
  createServeCommand,
  createBenchCommand,
  createPushCommand,
];

/** Help reads the same everywhere, in the README too. */
const HELP_WIDTH = 100;
