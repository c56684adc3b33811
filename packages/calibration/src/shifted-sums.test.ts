import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ShiftedSum, unshiftProduct, unshiftSum } from "./shifted-sums.js";

/** Small whole numbers: every sum is exact in float64. */
const whole = fc.integer({ min: -1000, max: 1000 });
const rowsOf = (width: number, count: number) =>
  fc.array(fc.array(whole, { minLength: width, maxLength: width }), { minLength: count, maxLength: count });
const shiftsOf = (width: number) => fc.option(fc.array(whole, { minLength: width, maxLength: width }));
const cases = fc.tuple(rowsOf(2, 3), shiftsOf(2), rowsOf(3, 3), shiftsOf(3));

type Row = readonly number[];

const sumOf = (rows: readonly Row[]) =>
  Float64Array.from(rows[0]!, (_, i) => rows.reduce((sum, row) => sum + row[i]!, 0));

const productOf = (a: readonly Row[], b: readonly Row[]) =>
  Float64Array.from({ length: a[0]!.length * b[0]!.length }, (_, index) => {
    const [i, j] = [Math.floor(index / b[0]!.length), index % b[0]!.length];
    // Adding a zero takes the sign off a negative one.
    return a.reduce((sum, row, t) => sum + row[i]! * b[t]![j]!, 0) + 0;
  });

const minus = (rows: readonly Row[], shift: Row | null) =>
  rows.map((row) => row.map((value, i) => value - (shift?.[i] ?? 0)));

const shifted = (rows: readonly Row[], shift: Row | null): ShiftedSum => ({
  sum: sumOf(minus(rows, shift)),
  shift: shift === null ? undefined : Float32Array.from(shift),
});

describe("unshiftSum", () => {
  it("gives the sum about zero, whatever the shift", () => {
    fc.assert(
      fc.property(cases, ([rows, shift]) => {
        expect(unshiftSum(shifted(rows, shift), rows.length)).toEqual(sumOf(rows));
      }),
    );
  });
});

describe("unshiftProduct", () => {
  it("gives the product about zero, whatever the shifts of either side", () => {
    fc.assert(
      fc.property(cases, ([y, c, z, d]) => {
        const product = productOf(minus(y, c), minus(z, d));
        const found = unshiftProduct(product, shifted(y, c), shifted(z, d), y.length);
        expect(found).toBe(product);
        expect(found.map((value) => value + 0)).toEqual(productOf(y, z));
      }),
    );
  });

  it("leaves a gram symmetric to the last bit", () => {
    const about = { sum: Float64Array.of(0.1, -0.7), shift: Float32Array.of(1e3 + 0.3, -0.013) };
    const gram = unshiftProduct(Float64Array.of(3, 0.2, 0.2, 5), about, about, 7);
    expect(gram[1]).toBe(gram[2]);
  });
});
