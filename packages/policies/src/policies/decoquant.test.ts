import { expect, it } from "vitest";
import { layerView } from "../../test/views.js";
import { decoquant } from "./decoquant.js";

it("rounds keys and values of every head, and keeps all tokens", () => {
  const view = layerView(12);
  for (const [index, own] of decoquant(8).afterPrefill!(view)!.entries()) {
    const { keys, values, tokens } = view.heads[index]!;
    expect(own!.kept!.length).toBe(tokens);
    for (const [rounded, exact] of [
      [own!.keys!, keys],
      [own!.values!, values],
    ] as const) {
      const differences = rounded.map((value, at) => Math.abs(value - exact[at]!));
      expect(Math.max(...differences)).toBeLessThan(0.04);
      expect(Math.max(...differences)).toBeGreaterThan(0);
    }
  }
});

it("leaves values of joint latents to their keys", () => {
  const view = layerView(12);
  const heads = view.heads.map((head) => ({ ...head, values: head.keys }));
  expect(decoquant(8).afterPrefill!({ ...view, heads })![0]!.values).toBeUndefined();
});
