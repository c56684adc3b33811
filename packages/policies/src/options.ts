import type { Budget } from "./budget.js";
import { PolicyError } from "./policy-error.js";

/** A policy as it is written, `name:amount:option=value`, in its parts. */
export interface PolicyText {
  /** The whole of it. */
  readonly text: string;
  readonly name: string;
  readonly amount: string | undefined;
  readonly options: ReadonlyMap<string, number>;
}

/** Takes a policy apart. */
export function parsePolicyText(text: string): PolicyText {
  const [name = "", ...parts] = text.trim().split(":");
  const options = new Map<string, number>();
  let amount: string | undefined;
  for (const part of parts) {
    const [key = "", value] = part.split("=");
    if (value !== undefined) options.set(key, numberOf(text, key, value));
    else if (amount === undefined && options.size === 0) amount = part;
    else throw new PolicyError(`${text}: expected one amount and then options as name=value, found ${part}`);
  }
  return { text: text.trim(), name, amount, options };
}

/**
 * The budget of a policy: `0.5` removes half of the tokens, `512t` keeps 512.
 *
 * @throws {PolicyError} for an amount that is missing or neither.
 */
export function readBudget({ text, amount }: PolicyText): Budget {
  const tokens = /^([1-9]\d*)t$/.exec(amount ?? "")?.[1];
  if (tokens !== undefined) return { tokens: Number(tokens) };
  const removed = amount === undefined || amount === "" ? Number.NaN : Number(amount);
  if (removed >= 0 && removed < 1) return { removed };
  throw new PolicyError(
    `${text}: expected a share of tokens to remove, from 0 to below 1, or a number of tokens to keep such as 512t, found ${amount ?? "none"}`,
  );
}

/**
 * The amount of a policy that is a share: `think:0.4`.
 *
 * @param what - What it is a share of, for the error.
 * @throws {PolicyError} for an amount that is missing or not from 0 to 1.
 */
export function readShare({ text, amount }: PolicyText, what: string): number {
  const share = amount === undefined || amount === "" ? Number.NaN : Number(amount);
  if (share >= 0 && share <= 1) return share;
  throw new PolicyError(`${text}: expected a share of ${what} from 0 to 1, found ${amount ?? "none"}`);
}

/**
 * The amount of a policy that is a number of bits: `decoquant:4`.
 *
 * @throws {PolicyError} for an amount that is missing or not from 2 to 8.
 */
export function readBits({ text, amount }: PolicyText): number {
  const bits = Number(amount ?? Number.NaN);
  if (Number.isInteger(bits) && bits >= 2 && bits <= 8) return bits;
  throw new PolicyError(`${text}: expected a number of bits from 2 to 8, found ${amount ?? "none"}`);
}

/** @throws {PolicyError} for an amount that is given to a policy that finds out itself how much stays. */
export const refuseAmount = (text: PolicyText): void =>
  refuseAnyAmount(text, ", since the text decides how much stays");

/** @throws {PolicyError} for an amount that is given to a policy that takes none. */
export function refuseAnyAmount({ text, amount }: PolicyText, reason = ""): void {
  if (amount === undefined) return;
  throw new PolicyError(`${text}: expected no amount${reason}, found ${amount}`);
}

/** Values that an option takes. */
export interface OptionRange {
  /** For errors: `a whole number from 1`. */
  readonly what: string;
  readonly holds: (value: number) => boolean;
}

export const NUMBER: OptionRange = { what: "a number from 0", holds: (value) => value >= 0 };
export const SHARE: OptionRange = { what: "a share from 0 to 1", holds: (value) => value <= 1 };
export const ODD: OptionRange = { what: "an odd number", holds: (value) => value % 2 === 1 };

/** Whole numbers of `least` or more. */
export const wholeFrom = (least: number): OptionRange => ({
  what: `a whole number from ${least}`,
  holds: (value) => Number.isSafeInteger(value) && value >= least,
});

/**
 * The options that are given, by name.
 *
 * @param known - All options that the policy has, with the values that each takes.
 * @throws {PolicyError} for another one, or a value out of range.
 */
export function readOptions<Name extends string>(
  { text, options }: PolicyText,
  known: Readonly<Record<Name, OptionRange>>,
): Readonly<Partial<Record<Name, number>>> {
  const ranges = new Map<string, OptionRange>(Object.entries(known));
  for (const [name, value] of options) {
    const range = ranges.get(name);
    if (range === undefined)
      throw new PolicyError(
        `${text}: expected options ${[...ranges.keys()].join(", ") || "none"}, found ${name}`,
      );
    if (!range.holds(value))
      throw new PolicyError(`${text}: expected ${name} as ${range.what}, found ${value}`);
  }
  return Object.fromEntries(options) as Partial<Record<Name, number>>;
}

function numberOf(text: string, name: string, value: string): number {
  const number = Number(value);
  if (value !== "" && Number.isFinite(number) && NUMBER.holds(number)) return number;
  throw new PolicyError(`${text}: expected ${name} as ${NUMBER.what}, found ${value || "nothing"}`);
}
