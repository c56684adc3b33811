/**
 * The whole part of a share of `count`, for shares that are meant as decimals. As floats, 0.9 of 300 leave 29.999999999999993, and
 * 0.29 of 100 are 28.999999999999996: a product that is this close below a whole number is that number.
 *
 * Numerics: the share, its difference from 1 and the product are each rounded once, which is `count` times machine epsilon at
 * most. Decimals of up to nine digits are exact up to a count of a million.
 */
export const wholeShare = (count: number, share: number): number =>
  Math.floor(count * share + count * Number.EPSILON);
