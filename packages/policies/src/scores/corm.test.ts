import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cormKept, NEVER_IMPORTANT, noteImportance } from "./corm.js";

describe("noteImportance", () => {
  it("marks tokens that get an equal share or more", () => {
    const last = new Int32Array(4).fill(NEVER_IMPORTANT);
    noteImportance(last, Float32Array.of(0.5, 0.25, 0.2, 0.05), 7);
    expect(Array.from(last)).toEqual([7, 7, -1, -1]);
  });

  it("marks all tokens of even attention, however it is rounded", () => {
    const last = new Int32Array(49).fill(NEVER_IMPORTANT);
    noteImportance(last, new Float32Array(49).fill(1 / 49), 0);
    expect(last.every((step) => step === 0)).toBe(true);
  });

  it("leaves tokens after the query's own alone", () => {
    const last = Int32Array.of(-1, 3);
    noteImportance(last, Float32Array.of(1), 5);
    expect(Array.from(last)).toEqual([5, 3]);
  });
});

describe("cormKept", () => {
  const lastImportant = Int32Array.of(5, 2, -1, 3, -1);
  const kept = (step: number, window: number, recent: number) =>
    Array.from(cormKept({ lastImportant, step, window, recent }));

  it("drops what the last queries passed over, except the latest tokens", () => {
    expect(kept(5, 3, 1)).toEqual([0, 3, 4]);
    expect(kept(5, 4, 1)).toEqual([0, 1, 3, 4]);
    expect(kept(5, 3, 0)).toEqual([0, 3]);
  });

  it("waits for as many queries as the window", () => {
    expect(kept(5, 7, 0)).toEqual([0, 1, 2, 3, 4]);
    expect(kept(5, 6, 0)).toEqual([0, 1, 3]);
  });

  it("says what a stored window of messages says", () => {
    const message = fc.array(fc.boolean(), { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 6 }),
        (messages, window) => {
          const last = new Int32Array(6).fill(NEVER_IMPORTANT);
          for (const [step, marks] of messages.entries()) {
            noteImportance(
              last,
              Float32Array.from(marks, (mark) => (mark ? 1 : 0)),
              step,
            );
          }
          const ring = messages.slice(-window);
          const isKept = (token: number) =>
            ring.length < window || token === 5 || ring.some((marks) => marks[token]);
          expect(
            Array.from(cormKept({ lastImportant: last, step: messages.length - 1, window, recent: 1 })),
          ).toEqual([0, 1, 2, 3, 4, 5].filter(isKept));
        },
      ),
    );
  });
});
