import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom } from "./index.js";
import { xoshiro128 } from "./random.js";

describe("xoshiro128", () => {
  it("gives the published sequence of xoshiro128** from the state 1, 2, 3, 4", () => {
    // First outputs of the reference C code, as in the tests of Rust's rand_xoshiro.
    const expected = [
      11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
    ];
    const next = xoshiro128([1, 2, 3, 4]);
    expect(expected.map(() => next())).toEqual(expected);
  });
});

describe("createRandom", () => {
  it("repeats itself for the same seed only", () => {
    const sequence = (seed: number): readonly number[] => {
      const random = createRandom(seed);
      return Array.from({ length: 4 }, random);
    };
    expect(sequence(1)).toEqual(sequence(1));
    expect(sequence(1)).not.toEqual(sequence(2));
    expect(sequence(2 ** 32 + 1)).toEqual(sequence(1));
  });

  it("stays in [0, 1) and is even over it", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const draws = Array.from({ length: 1000 }, random);
        const mean = draws.reduce((sum, x) => sum + x, 0) / 1000;
        // The mean of 1000 uniform numbers has a standard deviation of 0.0091: six of them never happen.
        expect(draws.every((x) => x >= 0 && x < 1)).toBe(true);
        expect(Math.abs(mean - 0.5)).toBeLessThan(0.055);
      }),
    );
  });

  it("refuses a seed that is no integer", () => {
    expect(() => createRandom(0.5)).toThrow("expected an integer seed, found 0.5");
  });
});
