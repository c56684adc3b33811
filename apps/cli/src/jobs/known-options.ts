import type { planFold } from "@kvfold/converter";
import { closestMatch } from "leven";
import { CliError } from "../cli-error.js";
import type { DeviceOptions } from "../models/open-device.js";
import type { CalibrationOptions } from "../tokens/calibration-windows.js";

/** The names of all options of a job, or of an object among them: what is forgotten here, or is none, does not compile. */
export type OptionNames<Options> = { readonly [Name in keyof Options]-?: true | Names };
type Names = { readonly [name: string]: true | Names };

export const deviceOptions: OptionNames<DeviceOptions> = {
  device: true,
  threads: true,
  deviceBytes: true,
  quiet: true,
};

export const calibrationOptions: OptionNames<CalibrationOptions> = {
  files: true,
  windows: true,
  window: true,
  bos: true,
  sha256: true,
};

/** Those of a plan, but for the share that it keeps. */
export const planOptions: OptionNames<Omit<planFold.Options, "keep">> = {
  method: true,
  dtypes: true,
  keySpan: true,
  valueSpan: true,
  keyShare: true,
  budget: true,
  chunk: true,
  context: true,
  window: true,
  metric: true,
  heal: true,
  formats: true,
  maxPositions: true,
  cacheBits: true,
  seed: true,
};

/**
 * Refuses options that a job does not have: a misspelt one would be left out in silence, and something else be done.
 *
 * @returns The options.
 * @throws {CliError} `usage`, with the names that come nearest.
 */
export function requireKnown<Options extends object>(
  job: string,
  options: Options,
  names: OptionNames<Options>,
): Options {
  requireNames(job, options, names);
  for (const [name, own] of Object.entries<true | Names>(names)) {
    const value = options[name as keyof Options];
    if (own !== true && typeof value === "object" && value !== null)
      requireNames(`${job}: ${name}`, value, own);
  }
  return options;
}

function requireNames(where: string, options: object, names: object): void {
  const known = Object.keys(names);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new CliError(
    "usage",
    `${where}: expected options that it has, found ${unknown}; ${advice(unknown, known)}`,
  );
}

function advice(unknown: string, known: readonly string[]): string {
  const near = nearestNames(unknown, known);
  return near.length > 0 ? `did you mean ${near.join(" or ")}?` : `it has ${known.join(", ")}`;
}

/** Names that hold the word or are held by it, else one with the fewest letters to change, if these are few. */
function nearestNames(word: string, names: readonly string[]): readonly string[] {
  const [lower, all] = [word.toLowerCase(), names.map((name) => name.toLowerCase())];
  const related = names.filter((_, index) => all[index]!.includes(lower) || lower.includes(all[index]!));
  if (related.length > 0) return related;
  const nearest = closestMatch(lower, all, { maxDistance: Math.floor(word.length / 2) });
  return names.filter((_, index) => all[index] === nearest);
}
