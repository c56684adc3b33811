import type { Command } from "commander";
import { CliError } from "../cli-error.js";
import { optionFlag } from "../option-flag.js";

/**
 * Refuses options that would have no effect next to the others; giving one is a mistake.
 *
 * @param options - By the names under which commander keeps them, e.g. `topK`.
 * @param reason - What follows the option in the message: why, and what to do.
 * @throws {CliError} `usage` for the first of them that was given.
 */
export function refuseGiven(command: Command, options: readonly string[], reason: string): void {
  const given = options.find((name) => command.getOptionValueSource(name) === "cli");
  if (given !== undefined) throw new CliError("usage", `${optionFlag(given)} ${reason}`);
}
