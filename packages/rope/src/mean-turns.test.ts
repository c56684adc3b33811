import { describe, expect, it } from "vitest";
import { type ComplexArray, meanTurns } from "./mean-turns.js";
import { RopeError } from "./rope-error.js";

const frequencies = [1, 0.3, 0.02, 0.0007];

describe("meanTurns", () => {
  it.each([
    ["one chunk size", [16, 16, 16, 16]],
    ["nested chunks", [4, 8, 64, 1024]],
    ["chunks that fall", [1024, 256, 4, 1]],
    ["no power of two", [3, 12, 12, 120]],
  ])("equals the mean over positions: %s", (_, chunks) => {
    const turns = meanTurns({ frequencies, chunks });
    const period = Math.max(...chunks);
    const angles = (n: number) => frequencies.map((frequency, j) => frequency * (n % chunks[j]!));
    const deviations = frequencies.flatMap((_, j) => [
      deviation(at(turns.single, j), period, (n) => angles(n)[j]!),
      ...frequencies.flatMap((_, k) => [
        deviation(at(turns.difference, j * 4 + k), period, (n) => angles(n)[j]! - angles(n)[k]!),
        deviation(at(turns.sum, j * 4 + k), period, (n) => angles(n)[j]! + angles(n)[k]!),
      ]),
    ]);
    // Float64 sums of up to 1024 terms of size one: a hundred times their rounding.
    expect(Math.max(...deviations)).toBeLessThan(1e-12);
  });

  it("refuses chunks that do not nest, and another number of them", () => {
    expect(() => meanTurns({ frequencies: [1, 1], chunks: [4, 6] })).toThrow(
      new RopeError("invalid-argument", "meanTurns: expected chunks that divide each other, found 4 and 6"),
    );
    expect(() => meanTurns({ frequencies: [1, 1], chunks: [4] })).toThrow(/a chunk for each of 2/);
    expect(() => meanTurns({ frequencies: [1], chunks: [0] })).toThrow(/chunk to be a whole number/);
  });
});

const at = ({ real, imaginary }: ComplexArray, index: number) => [real[index]!, imaginary[index]!] as const;

/** How far `actual` is from the mean of `e^(i angle)` over a period. */
function deviation(
  [re, im]: readonly [number, number],
  period: number,
  angle: (n: number) => number,
): number {
  let [real, imaginary] = [0, 0];
  for (let n = 0; n < period; n++) {
    real += Math.cos(angle(n)) / period;
    imaginary += Math.sin(angle(n)) / period;
  }
  return Math.hypot(re - real, im - imaginary);
}
