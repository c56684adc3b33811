import { CommanderError } from "commander";
import { CliError } from "../cli-error.js";
import { type ReportedError, reportError } from "../reported-error.js";
import { JobError } from "../worker/run-in-worker.js";
import type { Interrupts } from "./interrupts.js";
import { printable } from "./printable.js";
import { coloursFor } from "./terminal.js";

const USAGE_EXIT_CODE = 2;
/** Codes of all packages that blame the command's options. */
const usageCodes = new Set(["usage", "invalid-option", "invalid-argument"]);

export declare namespace printError {
  interface Options {
    readonly json: boolean;
    /** Shows stacks. */
    readonly verbose: boolean;
    readonly interrupts: Pick<Interrupts, "exitCode">;
    readonly stream: NodeJS.WriteStream;
  }
}

/** Prints what went wrong and returns the exit code for it. */
export function printError(
  error: unknown,
  { json, verbose, interrupts, stream }: printError.Options,
): number {
  // Help has been printed: asked for, or because there was no command.
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  if (error instanceof CommanderError && error.code === "commander.help") return USAGE_EXIT_CODE;
  const reported = toReported(error);
  stream.write(json ? toJson(reported) : toText(reported, verbose, coloursFor(stream).red));
  if (CliError.isInstance(error) && error.code === "interrupted") return interrupts.exitCode ?? 1;
  return usageCodes.has(reported.code) ? USAGE_EXIT_CODE : 1;
}

function toReported(error: unknown): ReportedError {
  if (error instanceof JobError) return error.reported;
  if (!(error instanceof CommanderError)) return reportError(error);
  const message = error.message.replace(/^error: /, "");
  return { code: "usage", message, expected: true, stack: undefined };
}

const toJson = ({ code, message }: ReportedError): string =>
  `${JSON.stringify({ error: { code, message } })}\n`;

function toText(
  { message, expected, stack }: ReportedError,
  verbose: boolean,
  red: (text: string) => string,
): string {
  const line = `${red("error:")} ${printable(message)}\n`;
  if (verbose && stack !== undefined) return `${line}${stack}\n`;
  return expected ? line : `${line}This should not happen. Run it again with --verbose for the stack.\n`;
}
