import type { CachePrecision, Policy } from "@kvfold/policies/check";
import { describe, expect, it } from "vitest";
import { type CacheSlot, precisionsOf } from "./cache-layout.js";
import { checkStored } from "./check-stored.js";

const slot = (size: number, precision?: CachePrecision): CacheSlot => {
  const tensor = { past: "past", present: "present", heads: 1, size };
  if (precision === undefined) return { ...tensor, type: "float32" };
  const scales = { ...tensor, type: "float16", size: 1 } as const;
  return { ...tensor, type: "uint8", quantised: { precision, scales } };
};

const held = (...slots: CacheSlot[]) => precisionsOf({ layers: slots.map((key) => ({ key })) });

describe("precisionsOf", () => {
  it.each<[name: string, slots: CacheSlot[], expected: CachePrecision[]]>([
    ["floats", [slot(5)], []],
    ["a byte for each number", [slot(64, "int8")], ["int8"]],
    ["two numbers in a byte", [slot(32, "int4")], ["int4"]],
    ["heads of odd sizes beside others in four bits", [slot(5, "int8"), slot(32, "int4")], ["int4"]],
    ["heads of odd sizes beside others in eight bits", [slot(5, "int8"), slot(64, "int8")], ["int8"]],
    ["heads of odd sizes alone, which are the same in both", [slot(5, "int8")], ["int8", "int4"]],
  ])("%s", (_, slots, expected) => {
    expect(held(...slots)).toEqual(expected);
  });
});

describe("checkStored", () => {
  const stores = (precision: CachePrecision): Policy => ({
    name: precision,
    action: "quantise",
    stores: precision,
  });
  const check = (policy: Policy, slots: CacheSlot[]) => () =>
    checkStored("createState", [policy], held(...slots));

  it("takes a graph of odd sizes for four bits and for eight", () => {
    for (const precision of ["int8", "int4"] as const)
      expect(check(stores(precision), [slot(5, "int8")])).not.toThrow();
  });

  it("refuses one in other bits, and says which it is in", () => {
    expect(check(stores("int4"), [slot(64, "int8")])).toThrow(/found one with int8: .* cacheBits 4$/);
    expect(check(stores("int4"), [slot(64)])).toThrow(/found one with floats: /);
  });

  it("refuses to round numbers twice", () => {
    const rounds: Policy = { name: "decoquant", action: "quantise" };
    expect(check(rounds, [slot(32, "int4")])).toThrow(/kept in int4, found decoquant: leave it out/);
    expect(check(rounds, [slot(32)])).not.toThrow();
  });
});
