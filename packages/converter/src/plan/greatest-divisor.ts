/** The greatest common divisor of two counts, at least one of them above zero. */
export const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));
