import type { Shard } from "@kvfold/calibration";
import type { CacheBits, Metric, StoredDtype } from "@kvfold/converter";
import { type Dtype, dtypes, ggufDtypes } from "@kvfold/decoder";
import { PolicyError, parsePolicies, policyEntries } from "@kvfold/policies";
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseShard } from "../jobs/shard.js";

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean;
}

/** Adds the options that every command has. */
export const addCommonOptions = (command: Command): Command =>
  command
    .option("--json", "print the result as one line of JSON")
    .option("-q, --quiet", "show no progress")
    .option("--verbose", "show the stack of an error");

/** What methods that weigh errors may weigh them by. */
export const METRICS: readonly Metric[] = ["output", "loss"];

/** Reads a whole number of `least` or more. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`Expected a whole number of ${least} or more.`);
  };

/** Reads a number within `[least, most]`. */
export const numberWithin =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== "" && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Expected a number from ${least} to ${most}.`);
  };

const THOUSANDS: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2 };

/** Reads `4096`, `32k` or `1m` tokens, in powers of 1024. */
export function tokenCount(text: string): number {
  const [, number = "", unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([km]?)\s*$/i.exec(text) ?? [];
  const value = Number(number) * THOUSANDS[unit.toLowerCase()]!;
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("Expected a number of tokens, such as 4096 or 32k.");
}

const BYTE_UNITS = ["", "k", "m", "g", "t"];

/** Reads `2GiB`, `512 MB` or `4096` bytes: `GB` counts in powers of 1000, `GiB` and `G` in powers of 1024. */
export function byteCount(text: string): number {
  const [, number = "", unit = "", rest = ""] = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b?)\s*$/i.exec(text) ?? [];
  const base = unit !== "" && rest.toLowerCase() === "b" ? 1000 : 1024;
  const value = Math.floor(Number(number) * base ** BYTE_UNITS.indexOf(unit.toLowerCase()));
  if (number !== "" && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("Expected a size, such as 2GiB, 512MiB or a number of bytes.");
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

/** Reads `90s`, `30m` or `2h`, as seconds. */
export function duration(text: string): number {
  const [, number = "", unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([smh])\s*$/i.exec(text) ?? [];
  const seconds = Number(number) * SECONDS[unit.toLowerCase()]!;
  if (seconds > 0) return seconds;
  throw new InvalidArgumentError("Expected a time, such as 90s, 30m or 2h.");
}

/** Reads `3/16`. */
export function readShard(text: string): Shard {
  const shard = parseShard(text);
  if (shard !== undefined) return shard;
  throw new InvalidArgumentError("Expected a shard and how many there are, such as 3/16.");
}

/** Reads `128,512,1024`. */
export const wholeNumbers =
  (least: number) =>
  (text: string): readonly number[] =>
    text.split(",").map(wholeNumber(least));

const graphDtypes = Object.keys(dtypes) as Dtype[];
const storedDtypes = [
  ...new Set<StoredDtype>([...graphDtypes, ...(Object.keys(ggufDtypes) as StoredDtype[])]),
];

/** Reads one of `names`. */
const oneOf =
  <Name extends string>(names: readonly Name[]) =>
  (text: string): Name => {
    const name = names.find((candidate) => candidate === text.trim());
    if (name !== undefined) return name;
    throw new InvalidArgumentError(`Choose one of ${names.join(", ")}.`);
  };

/** Reads some of `names`, with commas, each once. */
export const someOf =
  <Name extends string>(names: readonly Name[]) =>
  (text: string): readonly Name[] => [...new Set(text.split(",").map(oneOf(names)))];

/** Reads `fp32,q4`. */
export const dtypeList: (text: string) => readonly StoredDtype[] = someOf(storedDtypes);

/** Reads `fp32,q4`, of graphs alone. */
export const graphDtypeList: (text: string) => readonly Dtype[] = someOf(graphDtypes);

/** Which of a model folder's graphs to run. */
export const dtypeOption = (): Option =>
  new Option("--dtype <type>", "run the fp32, fp16 or q4 graph (default: the first there is)").argParser(
    oneOf(graphDtypes),
  );

/** Reads a list of cache policies and leaves it as it is: jobs read it again. */
export function policies(text: string): string {
  try {
    parsePolicies(text);
    return text;
  } catch (error) {
    if (PolicyError.isInstance(error)) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** Several of them. */
export const policyLists = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  policies(text),
];

/** What `--cache` takes, for the help of a command. */
export const POLICY_HELP: string = `
Cache policies, with a share of tokens to drop (0.5) or a number to keep (512t):
${policyEntries.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`).join("\n")}`;

/** Reads `8`, `4` or `8,4`. */
export function cacheBitsOf(text: string): readonly CacheBits[] {
  const bits = text.split(",").map(Number);
  if (bits.every((count) => count === 8 || count === 4)) return bits;
  throw new InvalidArgumentError("Expected 8, 4 or 8,4.");
}
