import { describe, expect, it } from "vitest";
import { layerView } from "../../test/views.js";
import type { LayerView } from "../cache-view.js";
import { reorder } from "../in-order.js";
import { keptIndices } from "../kept-indices.js";
import { parsePolicies } from "../parse-policies.js";
import type { LayerChange } from "../policy.js";

const TOKENS = 30;
/** Policies with a budget. */
const budgeted = [
  "keydiff",
  "streaming",
  "knorm",
  "tova",
  "snapkv",
  "pyramidkv",
  "expected",
  "observed",
  "random",
  "kvmerger",
] as const;
const small: Readonly<Record<string, string>> = { snapkv: ":window=4", pyramidkv: ":window=4" };

const change = (text: string, view: LayerView): LayerChange => parsePolicies(text)[0]!.afterPrefill!(view);

/** Positions that each head keeps. */
const keptPositions = (text: string, view: LayerView) =>
  view.heads.map(({ positions }, head) => {
    const own = change(text, view)?.[head];
    const kept = own && keptIndices(own, positions.length);
    return Array.from(kept ?? positions.keys(), (slot) => positions[slot]!).sort((a, b) => a - b);
  });

describe.each(budgeted)("%s", (name) => {
  const text = (amount: string) => `${name}:${amount}${small[name] ?? ""}`;

  it("changes nothing where nothing is removed", () => {
    expect(change(text("0"), layerView(TOKENS))?.every((own) => own === undefined) ?? true).toBe(true);
  });

  it.each([0.5, 0.7])("meets a budget without a share of %f exactly", (removed) => {
    const kept = keptPositions(text(String(removed)), layerView(TOKENS));
    // The fourth of six layers stands below the middle of a pyramid of 15 tokens (11 beside the window), or 9 of them (5).
    const below = { 0.5: 13, 0.7: 8 }[removed];
    const expected = name === "pyramidkv" ? below : Math.floor(TOKENS * (1 - removed));
    expect(kept.map(({ length }) => length)).toEqual([expected, expected]);
  });

  it("takes places in order, each once, and the same ones every time", () => {
    const view = layerView(TOKENS);
    for (const own of change(text("0.5"), view)!) {
      const kept = Array.from(keptIndices(own!, TOKENS));
      expect(kept).toEqual([...new Set(kept)].sort((a, b) => a - b));
    }
    expect(change(text("0.5"), view)).toEqual(change(text("0.5"), view));
  });

  it("keeps the same tokens in whatever slots they stand", () => {
    const view = layerView(TOKENS);
    const slots = Int32Array.from({ length: TOKENS }, (_, slot) => (slot * 7) % TOKENS);
    const shuffled = { ...view, heads: view.heads.map((head) => reorder(head, slots)) };
    expect(keptPositions(text("0.5"), shuffled)).toEqual(keptPositions(text("0.5"), view));
  });

  it("refuses options that it does not have, and amounts that are none", () => {
    expect(() => parsePolicies(`${name}:0.5:unheard=1`)).toThrow(`${name}:0.5:unheard=1: expected options`);
    expect(() => parsePolicies(`${name}:1.5`)).toThrow("expected a share of tokens to remove");
  });
});

it("keeps a whole run where a budget is smaller, and no other tokens", () => {
  const kept = keptPositions("keydiff:0.9", layerView(TOKENS, { run: 10 }));
  for (const own of kept) {
    expect(own).toHaveLength(10);
    expect(own[0]! % 10).toBe(0);
  }
  // Those after the last whole run stay in any case, and are enough.
  expect(keptPositions("keydiff:0.9", layerView(TOKENS, { run: 28 }))[0]).toEqual([28, 29]);
});

describe("policies without a budget of tokens", () => {
  it.each(["think:2", "fastgen:-1", "decoquant:1", "corm:0.5"])("refuse %s", (text) => {
    expect(() => parsePolicies(text)).toThrow(`${text}: expected`);
  });

  it("change nothing where nothing is removed", () => {
    const view = layerView(TOKENS);
    expect(change("think:0", view)).toBeUndefined();
    expect(change("fastgen:1:frequent=0:local=0", view)).toEqual([undefined, undefined]);
    expect(change("corm:window=31", view)).toEqual([undefined, undefined]);
  });
});
