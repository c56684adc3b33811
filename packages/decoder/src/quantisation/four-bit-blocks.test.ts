import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dequantise, quantiseByLargest } from "../../test/reference/four-bit.js";
import { quantiseRows } from "./four-bit-blocks.js";

const weight = fc.integer({ min: -4096, max: 4096 }).map((steps) => steps / 1024);

/** Rows of any length, whole blocks and not. */
const matrices = fc
  .record({ rows: fc.integer({ min: 1, max: 4 }), columns: fc.integer({ min: 1, max: 100 }) })
  .chain(({ rows, columns }) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      data: fc
        .array(weight, { minLength: rows * columns, maxLength: rows * columns })
        .map((values) => Float32Array.from(values)),
    }),
  );

/** The parts of `values [rows, columns]` that share a scale. */
function blocksOf(values: ArrayLike<number>, rows: number, columns: number): number[][] {
  const blocks = [];
  for (let row = 0; row < rows; row++) {
    for (let start = 0; start < columns; start += 32) {
      const end = Math.min(start + 32, columns);
      blocks.push(Array.from(values).slice(row * columns + start, row * columns + end));
    }
  }
  return blocks;
}

const squaredError = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + (value - b[index]!) ** 2, 0);

describe("quantiseRows", () => {
  it("puts the first code of a byte into its low half, and zeros into what is left of a block", () => {
    // With a largest magnitude of -8 these weights are codes less 8.
    const weights = Float32Array.of(-8, -7, 7, 0, 3);
    const { blocks, codes, scales } = quantiseRows(weights, 1, 5);
    expect(blocks).toBe(1);
    expect([...scales]).toEqual([1]);
    expect([...codes]).toEqual([0x10, 0x8f, 0x8b, ...Array<number>(13).fill(0x88)]);
  });

  it("loses no more of a block than scaling by its largest weight does", () => {
    fc.assert(
      fc.property(matrices, ({ rows, columns, data }) => {
        const restored = blocksOf(
          dequantise(quantiseRows(data, rows, columns), rows, columns),
          rows,
          columns,
        );
        for (const [index, block] of blocksOf(data, rows, columns).entries()) {
          const bound = squaredError(block, quantiseByLargest(block));
          const size = block.reduce((sum, value) => sum + value ** 2, 0);
          // The scale is rounded to float32.
          expect(squaredError(block, restored[index]!)).toBeLessThanOrEqual(bound + 1e-12 * size);
          // Rounding costs half a step, the one clipped side a whole one: steps are an eighth of the largest weight.
          const largest = Math.max(...block.map(Math.abs));
          expect(bound).toBeLessThanOrEqual(block.length * (largest / 8) ** 2 * (1 + 1e-6));
        }
      }),
    );
  });

  it("gives back weights that are four-bit already", () => {
    const steps = fc.array(fc.integer({ min: -8, max: 7 }), { minLength: 1, maxLength: 70 });
    fc.assert(
      fc.property(steps, fc.float({ min: Math.fround(0.01), max: 2, noNaN: true }), (codes, scale) => {
        const columns = codes.length;
        const blocks = blocksOf(codes, 1, columns);
        // With a weight at -8 in each block there is only one scale that loses nothing.
        for (const block of blocks) block[0] = -8;
        const weights = Float32Array.from(blocks.flat(), (code) => code * scale);
        const restored = dequantise(quantiseRows(weights, 1, columns), 1, columns);
        // Products and scales are rounded to float32, 6e-8 of at most 16 each.
        for (const [index, value] of weights.entries()) expect(restored[index]).toBeCloseTo(value, 5);
      }),
    );
  });

  it("keeps zeros, and turns what is too small for float32 into them", () => {
    const tiny = 2 ** -149;
    const { codes, scales } = quantiseRows(
      Float32Array.from({ length: 40 }, () => tiny),
      1,
      40,
    );
    expect([...scales]).toEqual([0, 0]);
    expect(codes.every((byte) => byte === 0x88)).toBe(true);
    const sparse = Float32Array.from({ length: 64 }, (_, index) => (index === 3 ? 0.7 : 0));
    const restored = dequantise(quantiseRows(sparse, 1, 64), 1, 64);
    expect([...restored].filter((value) => value !== 0)).toHaveLength(1);
    expect(restored[3]).toBeCloseTo(0.7, 6);
  });
});
