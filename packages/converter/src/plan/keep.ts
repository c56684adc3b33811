import { ConverterError } from "../converter-error.js";
import { greatestDivisor } from "./greatest-divisor.js";

/** A share of the KV cache, as a reduced fraction. */
export interface Keep {
  readonly numerator: number;
  readonly denominator: number;
}

/** Denominators beyond any head count are typing errors. */
const MAX_DENOMINATOR = 1024;

/**
 * Reads `1/4`, `0.25` or `1`; `option` is the option that the share was given with.
 *
 * @throws {ConverterError} `invalid-option` when it is not a fraction in (0, 1] with a small denominator.
 */
export function parseKeep(given: string | number, option = "keep"): Keep {
  const [, top = "", bottom = "1"] =
    /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(?:\/\s*(\d+))?\s*$/.exec(String(given)) ?? [];
  const share = Number(top) / Number(bottom);
  for (let denominator = 1; top !== "" && denominator <= MAX_DENOMINATOR; denominator++) {
    const numerator = Math.round(share * denominator);
    if (numerator > 0 && share <= 1 && Math.abs(numerator - share * denominator) < 1e-9)
      return { numerator, denominator };
  }
  throw new ConverterError(
    "invalid-option",
    `${option} ${given}: expected a share of the cache above 0 and up to 1, such as 1/2, 1/4 or 0.5`,
    { option },
  );
}

/** A fraction in its lowest terms. */
export function reduceKeep(numerator: number, denominator: number): Keep {
  const shared = greatestDivisor(numerator, denominator);
  return { numerator: numerator / shared, denominator: denominator / shared };
}

/** `1/4`, or `1` for everything. */
export const formatKeep = ({ numerator, denominator }: Keep): string =>
  denominator === 1 ? String(numerator) : `${numerator}/${denominator}`;

/** Whether everything is kept. */
export const isWhole = ({ numerator, denominator }: Keep): boolean => numerator === denominator;
