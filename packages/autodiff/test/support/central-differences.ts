import type { Numbers } from "./run-model.js";

/** A function of several tensors. */
export type TensorFunction = (inputs: readonly Numbers[]) => Promise<readonly Numbers[]>;

/** A step at which truncation and rounding of float64 are about equal, both below 1e-9 of smooth functions. */
const STEP = 1e-5;

/** `vᵀ J` of one input by central differences, two evaluations for each of its numbers. */
export async function productByDifferences(
  evaluate: TensorFunction,
  inputs: readonly Numbers[],
  index: number,
  upstream: readonly Numbers[],
): Promise<number[]> {
  const at = async (position: number, step: number) => {
    const moved = inputs.map((input, other) => (other === index ? movedBy(input, position, step) : input));
    return dot(await evaluate(moved), upstream);
  };
  const gradient: number[] = [];
  for (const position of inputs[index]!.data.keys())
    gradient.push(((await at(position, STEP)) - (await at(position, -STEP))) / (2 * STEP));
  return gradient;
}

const movedBy = ({ dims, data }: Numbers, position: number, step: number): Numbers => ({
  dims,
  data: data.map((value, other) => (other === position ? value + step : value)),
});

/** Sum of the products of all numbers. */
export const dot = (a: readonly Numbers[], b: readonly Numbers[]): number =>
  a.reduce(
    (sum, { data }, index) => sum + data.reduce((total, value, at) => total + value * b[index]!.data[at]!, 0),
    0,
  );

/** Largest difference over the largest number of what is expected, or over `floor` where all are smaller. */
export function relativeError(found: readonly number[], expected: readonly number[], floor = 1e-3): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
  const scale = Math.max(floor, ...expected.map(Math.abs));
  const errors = expected.map((value, index) => Math.abs(value - found[index]!) / scale);
  return errors.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(0, ...errors);
}
