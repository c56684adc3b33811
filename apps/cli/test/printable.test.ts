import { expect, it } from "vitest";
import { printable } from "../src/ui/printable.js";

it.each([
  ["tensor \u001b[2Jx", "tensor \\u001b[2Jx"],
  ["\u009b31m\u202e\u0000\r", "\\u009b31m\\u202e\\u0000\\u000d"],
  ["two\nlines\té 🙂", "two\nlines\té 🙂"],
])("%j is printed without control characters", (text, printed) => {
  expect(printable(text)).toBe(printed);
});
