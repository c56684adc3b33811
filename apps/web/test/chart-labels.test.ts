import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LABEL_GAP, LABEL_SIZE, labelRoom, spacedTicks } from "../src/pictures/chart-labels.js";
import { logScale } from "../src/pictures/log-scale.js";

it("labels are no larger than charts expect, on phones too", () => {
  const css = readFileSync(new URL("../src/ui/styles/charts.css", import.meta.url), "utf8");
  const sizes = Array.from(css.matchAll(/svg text \{[^}]*font-size: (\d+)px/g), ([, size]) => Number(size));
  expect(sizes).toHaveLength(2);
  expect(Math.max(...sizes)).toBe(LABEL_SIZE);
});

describe("labelRoom", () => {
  it.each([
    // Digits, spaces and percent signs of DejaVu Sans, a wide font, in units of its size.
    { labels: ["0 %", "50 %", "100 %"], widest: 3 * 0.636 + 0.318 + 0.95 },
    { labels: ["0 %", "2 %", "8 %"], widest: 0.636 + 0.318 + 0.95 },
    { labels: ["1", "1.25", "14"], widest: 3 * 0.636 + 0.318 },
  ])("holds $labels", ({ labels, widest }) => {
    expect(labelRoom(labels)).toBeGreaterThanOrEqual(LABEL_GAP + widest * LABEL_SIZE);
  });
});

describe("spacedTicks", () => {
  const ticks = [1, 1.1, 1.25, 1.5, 2, 3];

  it("leaves out a label that would overlap the one before", () => {
    expect(spacedTicks(ticks, logScale([1, 14], [266, 20]))).toEqual([1, 1.25, 1.5, 2, 3]);
  });

  it("keeps all that have room", () => {
    expect(spacedTicks(ticks, logScale([1, 3], [266, 20]))).toEqual(ticks);
    expect(spacedTicks([], logScale([1, 3], [266, 20]))).toEqual([]);
  });
});
