import type { Matrix } from "@kvfold/linalg";
import { ConverterError } from "../converter-error.js";
import type { Basis, Group, Method } from "./method.js";

/**
 * Rejects bases that do not suit their groups; methods come from elsewhere too.
 *
 * @throws {ConverterError} `invalid-option` for other shapes than `encode [s * d, r]` and `decode [r, s * d]`, for numbers
 * that are not finite, and for a number of bases other than that of the groups.
 */
export function requireBases(method: Method, groups: readonly Group[], bases: readonly Basis[]): void {
  if (bases.length !== groups.length)
    throw misfit(method, groups[0]!, `expected ${groups.length} bases, found ${bases.length}`);
  for (const [index, group] of groups.entries()) {
    const problem = findProblem(group, bases[index]!);
    if (problem !== undefined) throw misfit(method, group, problem);
  }
}

function findProblem({ side, span, headDim, rank }: Group, basis: Basis): string | undefined {
  const { encode, decode, offset, slots } = basis;
  const width = span * headDim;
  if (encode.rows !== width || encode.cols !== rank)
    return `expected encode of [${width}, ${rank}], found [${encode.rows}, ${encode.cols}]`;
  if (decode.rows !== rank || decode.cols !== width)
    return `expected decode of [${rank}, ${width}], found [${decode.rows}, ${decode.cols}]`;
  if (!allFinite(encode)) return "encode has numbers that are not finite";
  if (!allFinite(decode)) return "decode has numbers that are not finite";
  if (side === "keys" && offset !== undefined) return "keys cannot have an offset; only values can";
  if (slots !== undefined && slots.length !== rank / 2)
    return `expected slots for ${rank / 2} pairs, found ${slots.length}`;
  return undefined;
}

const allFinite = ({ data }: Matrix): boolean => data.every(Number.isFinite);

const misfit = ({ name }: Method, { layer, side, index }: Group, problem: string): ConverterError =>
  new ConverterError(
    "invalid-option",
    `method ${name}: layer ${layer}, ${side}, group ${index}: ${problem}`,
    {
      option: "method",
    },
  );
