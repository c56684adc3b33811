import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addProductOnGrid, addSumOnGrid, exponentsOf } from "./grid.js";

const float = fc.float({ min: -1000, max: 1000, noNaN: true, noDefaultInfinity: true });
const windows = fc.array(fc.array(float, { minLength: 3, maxLength: 3 }), { minLength: 2, maxLength: 20 });
const exponents = [3, -4, 10];

const sumOf = (parts: readonly (readonly number[])[]): Float64Array => {
  const total = new Float64Array(3);
  for (const part of parts) addSumOnGrid(total, Float32Array.from(part), exponents);
  return total;
};

describe("addSumOnGrid", () => {
  it("comes to the same bits in any order and for any parts", () => {
    fc.assert(
      fc.property(windows, fc.nat(), (values, cut) => {
        const whole = sumOf(values);
        expect(sumOf([...values].reverse())).toEqual(whole);
        const at = cut % values.length;
        const [one, other] = [sumOf(values.slice(0, at)), sumOf(values.slice(at))];
        expect(one.map((value, index) => value + other[index]!)).toEqual(whole);
      }),
    );
  });

  it("rounds by 2^-31 of the size at most", () => {
    fc.assert(
      fc.property(fc.array(float, { minLength: 3, maxLength: 3 }), (values) => {
        for (const [at, value] of sumOf([values]).entries())
          expect(Math.abs(value - values[at]!)).toBeLessThanOrEqual(2 ** (exponents[at]! - 31));
      }),
    );
  });

  it("is as good as float64 for numbers that are far too large for the grid", () => {
    expect(sumOf([[2 ** 100, 0, 0]])[0]).toBe(2 ** 100);
  });
});

describe("addProductOnGrid", () => {
  it("takes a step for each row and column, in the layout of the product", () => {
    // Rows 0 and 1 from column 0 and 1 on: steps 2^-30 times 2^(0 + 0), 2^(0 + 20) and 2^(20 + 20).
    const layout = [
      { start: 0, end: 1, from: 0 },
      { start: 1, end: 2, from: 1 },
    ];
    const third = Math.fround(1 / 3);
    const part = Float32Array.of(third, third, third * 2 ** 20);
    const total = new Float64Array(3);
    addProductOnGrid(total, part, { layout, rows: [0, 20], columns: [0, 20] });
    const rounded = (value: number, step: number) => Math.round(value / step) * step;
    expect([...total]).toEqual([
      rounded(third, 2 ** -30),
      rounded(third, 2 ** -10),
      rounded(third * 2 ** 20, 2 ** 10),
    ]);
  });
});

it("exponentsOf gives the power of two above each size, and to zeros the least of them", () => {
  expect(exponentsOf(Float64Array.of(1, 1.5, 0, 0.3))).toEqual([0, 1, -1, -1]);
  expect(exponentsOf(new Float64Array(2))).toEqual([0, 0]);
});
