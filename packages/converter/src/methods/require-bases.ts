import type { Matrix } from "@kvfold/linalg";
import { ConverterError } from "../converter-error.js";
import type { Basis, Group, JointBasis, JointGroup, Method } from "./method.js";

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

/**
 * The same for bases of keys and values together, `encode [2 * s * d, r]` and `decode [r, 2 * s * d]`.
 *
 * @throws {ConverterError} `invalid-option`; also for an offset of another size, or of numbers that may have none.
 */
export function requireJointBases(
  method: Method,
  groups: readonly JointGroup[],
  bases: readonly JointBasis[],
): void {
  for (const [index, group] of groups.entries()) {
    const problem = findJointProblem(group, bases[index]!);
    if (problem !== undefined) throw misfit(method, { ...group, side: "keys and values" }, problem);
  }
}

function findJointProblem(
  { span, headDim, rank, mayCentre }: JointGroup,
  { offset, ...basis }: JointBasis,
): string | undefined {
  const problem = findMatrixProblem(basis, 2 * span * headDim, rank);
  if (problem !== undefined || offset === undefined) return problem;
  if (offset.length !== mayCentre.length)
    return `expected an offset of ${mayCentre.length} numbers, found ${offset.length}`;
  const misplaced = offset.findIndex((value, column) => value !== 0 && !mayCentre[column]);
  return misplaced < 0 ? undefined : `expected no offset of number ${misplaced}, found ${offset[misplaced]}`;
}

function findProblem({ side, span, headDim, rank }: Group, basis: Basis): string | undefined {
  const { offset, slots } = basis;
  const problem = findMatrixProblem(basis, span * headDim, rank);
  if (problem !== undefined) return problem;
  if (side === "keys" && offset !== undefined) return "keys cannot have an offset; only values can";
  if (slots !== undefined && slots.length !== rank / 2)
    return `expected slots for ${rank / 2} pairs, found ${slots.length}`;
  return undefined;
}

function findMatrixProblem(
  { encode, decode }: Pick<Basis, "encode" | "decode">,
  width: number,
  rank: number,
): string | undefined {
  if (encode.rows !== width || encode.cols !== rank)
    return `expected encode of [${width}, ${rank}], found [${encode.rows}, ${encode.cols}]`;
  if (decode.rows !== rank || decode.cols !== width)
    return `expected decode of [${rank}, ${width}], found [${decode.rows}, ${decode.cols}]`;
  if (!allFinite(encode)) return "encode has numbers that are not finite";
  if (!allFinite(decode)) return "decode has numbers that are not finite";
  return undefined;
}

const allFinite = ({ data }: Matrix): boolean => data.every(Number.isFinite);

interface Place {
  readonly layer: number;
  readonly side: string;
  readonly index: number;
}

const misfit = ({ name }: Method, { layer, side, index }: Place, problem: string): ConverterError =>
  new ConverterError(
    "invalid-option",
    `method ${name}: layer ${layer}, ${side}, group ${index}: ${problem}`,
    {
      option: "method",
    },
  );
