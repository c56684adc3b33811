import { CommanderError } from "commander";
import { CliError } from "./cli-error.js";
import { disableTelemetry } from "./disable-telemetry.js";
import { createProgram } from "./program.js";
import { watchInterrupts } from "./ui/interrupts.js";
import { printError } from "./ui/print-error.js";
import { openStandardOutput } from "./ui/standard-output.js";
import { createTerminalHost } from "./ui/terminal-host.js";

disableTelemetry();

const arguments_ = process.argv.slice(2);
const interrupts = watchInterrupts();
const output = openStandardOutput(process.stdout, interrupts.raise);
// Where errors cannot be written there is nothing that could be said about it.
process.stderr.on("error", () => {});

const failure = await failureOf(
  createProgram(createTerminalHost(interrupts, output)).parseAsync(arguments_, { from: "user" }),
);
await output.finish();
process.exitCode =
  output.closedExitCode ?? report(endedAsAsked(failure) ? (output.failure ?? failure) : failure);

/** Whatever `work` throws; `undefined` when all went well. */
async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Whether the work ended well, or because it was asked to: what went wrong first is then elsewhere. */
function endedAsAsked(error: unknown): boolean {
  if (error instanceof CommanderError) return error.exitCode === 0;
  return error === undefined || (CliError.isInstance(error) && error.code === "interrupted");
}

function report(error: unknown): number {
  if (error === undefined) return 0;
  return printError(error, {
    // The parser itself may have failed, so the flags are looked for where they were typed.
    json: arguments_.includes("--json"),
    verbose: arguments_.includes("--verbose") || process.env.KVFOLD_DEBUG !== undefined,
    interrupts,
    stream: process.stderr,
  });
}
