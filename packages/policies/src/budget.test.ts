import { describe, expect, it } from "vitest";
import { tokensOf } from "./budget.js";
import { wholeShare } from "./whole-share.js";

/** Removed hundredths of tokens, by whole numbers alone. */
const leftOver = (seen: number, hundredths: number) => Math.floor((seen * (100 - hundredths)) / 100);

describe("tokensOf", () => {
  it("leaves as many tokens as decimals mean: 30 of 300 without nine tenths", () => {
    expect(tokensOf({ removed: 0.9 }, { seen: 300 })).toBe(30);
    const faults = [];
    for (let seen = 2; seen <= 4096; seen += 7)
      for (let hundredths = 0; hundredths < 100; hundredths++)
        if (tokensOf({ removed: hundredths / 100 }, { seen }) !== Math.max(1, leftOver(seen, hundredths)))
          faults.push([seen, hundredths]);
    expect(faults).toEqual([]);
  });

  it("rounds down what is less than a token", () => {
    expect(tokensOf({ removed: 0.5 }, { seen: 5 })).toBe(2);
    expect(tokensOf({ removed: 0.500001 }, { seen: 1_000_000 })).toBe(499_999);
    expect(tokensOf({ removed: 0.5000001 }, { seen: 1_000_000 })).toBe(499_999);
  });

  it("leaves a token of a prompt of one", () => {
    expect(tokensOf({ removed: 0.5 }, { seen: 1 })).toBe(1);
  });

  it("takes a number of tokens as it is", () => {
    expect(tokensOf({ tokens: 512 }, { seen: 3 })).toBe(512);
  });
});

it("takes whole parts of shares as decimals", () => {
  expect(wholeShare(100, 0.29)).toBe(29);
  expect(wholeShare(64, 0.7)).toBe(44);
  expect(wholeShare(0, 0.7)).toBe(0);
});
