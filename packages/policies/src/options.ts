import type { Budget } from "./budget.js";
import { PolicyError } from "./policy-error.js";

/** A policy as it is written, `name:amount:option=value`, taken apart. */
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

/** @throws {PolicyError} for a policy that takes no amount. */
export function refuseAmount({ text, amount }: PolicyText): void {
  if (amount === undefined) return;
  throw new PolicyError(
    `${text}: expected no amount, since the text decides how much stays, found ${amount}`,
  );
}

/**
 * The options that are given, by name.
 *
 * @param known - Names of all options that the policy has.
 * @throws {PolicyError} for another one.
 */
export function readOptions<Name extends string>(
  { text, options }: PolicyText,
  known: readonly Name[],
): Readonly<Partial<Record<Name, number>>> {
  for (const name of options.keys()) {
    if (known.some((own) => own === name)) continue;
    throw new PolicyError(`${text}: expected options ${known.join(", ") || "none"}, found ${name}`);
  }
  return Object.fromEntries(options) as Partial<Record<Name, number>>;
}

function numberOf(text: string, name: string, value: string): number {
  const number = Number(value);
  if (value !== "" && Number.isFinite(number) && number >= 0) return number;
  throw new PolicyError(`${text}: expected ${name} as a number from 0, found ${value || "nothing"}`);
}
