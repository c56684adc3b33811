import { cacheCodings } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { codedBytes, codedShape } from "./coded-shape.js";

const { int8, int4 } = cacheCodings;

describe("codedShape", () => {
  it.each([
    [int8, 64, { groups: 1, stored: { heads: 2, size: 64 }, scales: { heads: 2, size: 1 } }],
    [int8, 300, { groups: 2, stored: { heads: 4, size: 150 } }],
    [int4, 64, { groups: 4, stored: { heads: 8, size: 8 }, scales: { heads: 8, size: 1 } }],
    [int4, 40, { groups: 4, groupSize: 10, stored: { heads: 8, size: 5 } }],
    [int4, 66, { groups: 11, groupSize: 6, stored: { heads: 22, size: 3 } }],
    [int4, 21, { coding: int8, groups: 1, stored: { heads: 2, size: 21 } }],
  ])("is of whole bytes and equal groups: $precision, %i numbers", (coding, size, expected) => {
    expect(codedShape({ heads: 2, size }, coding)).toMatchObject(expected);
  });

  it("takes bytes for codes and two for each scale", () => {
    expect(codedBytes({ heads: 2, size: 300 }, "int8")).toBe(2 * 300 + 2 * 2 * 2);
    expect(codedBytes({ heads: 2, size: 64 }, "int4")).toBe(2 * 32 + 4 * 2 * 2);
  });
});
