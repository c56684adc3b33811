import { createMatrix, symmetricEigen } from "@kvfold/linalg";
import { expect, it } from "vitest";
import { jacobiEigen } from "./jacobi-eigen.js";

const n = 16;
const factor = Float64Array.from(
  { length: n * n },
  (_, i) => Math.sin(1 + 3.1 * i * i) * 2 ** (-(i % n) / 2),
);
/** `factorᵀ factor` */
const gram = Float64Array.from({ length: n * n }, (_, at) => {
  let sum = 0;
  for (let k = 0; k < n; k++) sum += factor[k * n + Math.floor(at / n)]! * factor[k * n + (at % n)]!;
  return sum;
});

it("has the eigenvalues that linalg finds, and vectors that belong to them", () => {
  const { values, vectors } = jacobiEigen(gram, n);
  const expected = symmetricEigen(createMatrix(n, n, gram.slice())).values;
  const descending = values.slice().sort().reverse();
  for (let i = 0; i < n; i++)
    expect(Math.abs(descending[i]! - expected[i]!)).toBeLessThan(1e-13 * expected[0]!);
  for (let i = 0; i < n; i++) {
    for (let row = 0; row < n; row++) {
      let product = 0;
      for (let j = 0; j < n; j++) product += gram[row * n + j]! * vectors[j * n + i]!;
      expect(Math.abs(product - values[i]! * vectors[row * n + i]!)).toBeLessThan(1e-13 * expected[0]!);
    }
  }
});

it("takes diagonal and zero matrices as they are", () => {
  expect(Array.from(jacobiEigen(Float64Array.of(3, 0, 0, -1), 2).values)).toEqual([3, -1]);
  expect(Array.from(jacobiEigen(new Float64Array(4), 2).vectors)).toEqual([1, 0, 0, 1]);
});

it("ends on NaN, without values of use", () => {
  const { values } = jacobiEigen(Float64Array.of(1, Number.NaN, Number.NaN, 1), 2);
  expect(values.length).toBe(2);
});
