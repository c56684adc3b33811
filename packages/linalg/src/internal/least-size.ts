/**
 * What counts as zero while eigenvectors are sought, in a matrix scaled to values around 1: far below its rounding errors of
 * `2^-53`, and far above where squares and their ratios underflow, which would cost orthogonality.
 */
export const leastSize: number = 2 ** -100;
