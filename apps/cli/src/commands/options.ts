import type { FloatType } from "@kvfold/converter";
import { type Command, InvalidArgumentError, Option } from "commander";

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

/** Reads `128,512,1024`. */
export const wholeNumbers =
  (least: number) =>
  (text: string): readonly number[] =>
    text.split(",").map(wholeNumber(least));

const floatTypes: ReadonlyMap<string, FloatType> = new Map([
  ["fp32", "float32"],
  ["fp16", "float16"],
]);

/** Reads `fp32` or `fp16`. */
function floatType(text: string): FloatType {
  const type = floatTypes.get(text.trim());
  if (type !== undefined) return type;
  throw new InvalidArgumentError(`Choose of ${[...floatTypes.keys()].join(", ")}.`);
}

/** Reads `fp32,fp16`. */
export const floatTypeList = (text: string): readonly FloatType[] => [
  ...new Set(text.split(",").map(floatType)),
];

/** Which of a model folder's graphs to run. */
export const dtypeOption = (): Option =>
  new Option("--dtype <type>", "run the fp32 or the fp16 graph (fp32 where there are both)").argParser(
    floatType,
  );
