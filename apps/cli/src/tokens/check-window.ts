import { CliError } from "../cli-error.js";

/**
 * Makes sure that windows of the length that was asked for fit into a model's context.
 *
 * @throws {CliError} `usage`.
 */
export function checkWindow(window: number | undefined, maxPositions: number, model: string): void {
  if (window === undefined || window <= maxPositions) return;
  throw new CliError(
    "usage",
    `--window ${window}: the context of ${model} is ${maxPositions} tokens; ask for ${maxPositions} or fewer`,
  );
}
