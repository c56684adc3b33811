import { ADAPTED_PARTS } from "@kvfold/tuning";
import { ConverterError } from "../converter-error.js";
import type { TuneSettings } from "./tune-model.js";

/** Settings of which any may be left out. */
export type GivenSettings = { readonly [Name in keyof TuneSettings]?: TuneSettings[Name] | undefined };

/** Shares of all steps that the learning rate rises in, and that lie between two held-out losses. */
const [WARM_UP, BETWEEN_MEASURES] = [0.05, 0.05];

/**
 * The settings of a tuning.
 *
 * @throws {ConverterError} `invalid-option` for numbers out of their range.
 */
export function tuneSettings(given: GivenSettings): TuneSettings {
  const { rank = 64, steps = 300, windowsPerStep = 8, parts = ADAPTED_PARTS, loss = "distillation" } = given;
  const { learningRate = 5e-4, weightDecay = 0.01, clip = 1, seed = 0, patience = 5 } = given;
  const share = (part: number) => Math.max(1, Math.round(part * steps));
  const { alpha = rank, warmUp = share(WARM_UP), evaluateEvery = share(BETWEEN_MEASURES) } = given;
  const numbers = {
    rank,
    steps,
    windowsPerStep,
    warmUp,
    evaluateEvery,
    patience,
    seed,
    learningRate,
    alpha,
    weightDecay,
    clip,
  };
  checkNumbers(numbers);
  if (parts.length === 0) throw invalidOption("parts", "none", `some of ${ADAPTED_PARTS.join(", ")}`);
  const unknown = parts.find((part) => !ADAPTED_PARTS.includes(part));
  if (unknown !== undefined) throw invalidOption("parts", unknown, `some of ${ADAPTED_PARTS.join(", ")}`);
  return { ...numbers, parts, loss };
}

/** Windows at the end of a text that are held out, unless told otherwise. */
export const MOST_HELD_OUT = 8;

export declare namespace tuneWindows {
  interface Options extends GivenSettings {
    /** Windows that are held out. */
    readonly heldOut?: number | undefined;
  }
}

/** Windows of a text that a tuning reads: those of all its steps, and those that are held out. */
export function tuneWindows({ heldOut = MOST_HELD_OUT, ...given }: tuneWindows.Options): number {
  const { steps, windowsPerStep } = tuneSettings(given);
  return steps * windowsPerStep + heldOut;
}

const WHOLE = ["rank", "steps", "windowsPerStep", "warmUp", "evaluateEvery", "patience", "seed"];
const MAY_BE_ZERO = ["weightDecay", "seed"];

function checkNumbers(numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    const least = MAY_BE_ZERO.includes(name) ? "of 0 or more" : "above 0";
    const isWhole = WHOLE.includes(name);
    const isFine = Number.isFinite(value) && (value > 0 || (value === 0 && MAY_BE_ZERO.includes(name)));
    if (!isFine || (isWhole && !Number.isSafeInteger(value)))
      throw invalidOption(name, value, `a ${isWhole ? "whole " : ""}number ${least}`);
  }
}

export const invalidOption = (option: string, found: string | number, expected: string): ConverterError =>
  new ConverterError("invalid-option", `${option}: expected ${expected}, found ${found}`, { option });
