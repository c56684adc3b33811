import { describe, expect, it } from "vitest";
import { findDifference } from "../src/doc-examples/find-difference";
import { findFences } from "../src/doc-examples/find-fences";
import { writeModule } from "../src/doc-examples/write-module";

const fence = (code: string) => ({ file: "README.md", line: 3, code });

describe("findFences", () => {
  it("reads Markdown, and leaves other languages and `no-run` alone", () => {
    const text =
      "# Title\n```ts\nf();\n\ng();\n```\n```ts no-run\nh();\n```\n```tsx\ni();\n```\n```ts\n```\n";
    expect(findFences("README.md", text)).toEqual([
      { file: "README.md", line: 3, code: "f();\n\ng();\n" },
      { file: "README.md", line: 14, code: "" },
    ]);
  });

  it("reads doc comments", () => {
    const text =
      "/**\n * @example\n * ```ts\n * if (a) {\n *   f();\n *\n * }\n * ```\n */\nexport const a = 1;\n";
    expect(findFences("a.ts", text)).toEqual([{ file: "a.ts", line: 4, code: "if (a) {\n  f();\n\n}\n" }]);
  });
});

describe("writeModule", () => {
  /** The lines of a module with their numbers, empty ones left out. */
  const numbered = (code: string) =>
    Object.fromEntries(
      [...writeModule(fence(code)).split("\n").entries()]
        .filter(([, line]) => line.trim() !== "")
        .map(([index, line]) => [index + 1, line.trim()]),
    );

  it("keeps every line where it is in the document", () => {
    expect(numbered('import { f } from "a";\nconst x = f(\n  1,\n);\nx + 1; // => 2\nawait f(x);')).toEqual({
      1: 'import { f } from "a"; export async function run(check) {',
      4: "const x = f(",
      5: "1,",
      6: ");",
      7: ";check(7, x + 1, (2)); // => 2",
      8: "await f(x);",
      9: "}",
    });
  });

  it.each([
    ["a value on the line below", "f(\n  1,\n)\n// => 2", ";check(3, f( 1, ), (2));"],
    [
      "a value over several lines",
      "f(1); // => {\n//   a: 1,\n// }\n// More prose.",
      ";check(3, f(1), ({ a: 1, })); // => {",
    ],
    ["what a constant holds", "const x = f(1); // => 2", "const x = f(1);;check(3, x, (2)); // => 2"],
    ["an awaited value", "await f(1); // => 2", ";check(3, await f(1), (2)); // => 2"],
  ])("checks %s", (_what, code, line) => {
    expect(numbered(code)[3]).toBe(line);
  });

  it.each([
    ["a missing semicolon", "f(1) // => 2\n[3].map(f);", /README\.md:3: expected each .* semicolon/],
    ["a claim inside a block", "if (x) {\n  f(1); // => 2\n}", /README\.md:3: expected each/],
    [
      "prose for a value",
      "f(1);\nf(2); // => about 2",
      /README\.md:4: expected a TypeScript expression .* "about 2"/,
    ],
    ["a claim about a statement", "if (x) f(1); // => 2", /README\.md:3: expected an expression/],
  ])("refuses %s", (_what, code, message) => {
    expect(() => writeModule(fence(code))).toThrow(message);
  });
});

describe("findDifference", () => {
  class Point {
    constructor(readonly x: number) {}
  }

  it.each<[unknown, unknown]>([
    [1, 1 + 1e-10],
    [1e12, 1e12 + 100],
    [1e-17, 0],
    [Number.NaN, Number.NaN],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    [new Float32Array([1, 2]), [1, 2]],
    [[{ a: new Float64Array(1) }], [{ a: [0] }]],
    [new Point(1), { x: 1 }],
    [new Map([["a", 1]]), new Map([["a", 1]])],
    [10n, 10n],
    [undefined, undefined],
  ])("finds none between %o and %o", (got, expected) => {
    expect(findDifference(got, expected)).toBeUndefined();
  });

  it.each<[unknown, unknown, string]>([
    [1, 1 + 1e-8, "expected 1.00000001, got 1"],
    [2e-12, 1e-12, "expected 1e-12, got 2e-12"],
    [1, Number.NaN, "expected NaN, got 1"],
    [0, Number.POSITIVE_INFINITY, "expected Infinity, got 0"],
    ["1", 1, 'expected 1, got "1"'],
    [10n, 10, "expected 10, got 10n"],
    [null, {}, "expected {}, got null"],
    [[1, 2], [1, 3], "at [1] expected 3, got 2"],
    [[1, 2], [1], "expected [1], got [1, 2]"],
    [{ a: [{ b: 1 }] }, { a: [{ b: 2 }] }, "at .a[0].b expected 2, got 1"],
    [{ a: 1, b: undefined }, { a: 1 }, "expected { a: 1 }, got { a: 1, b: undefined }"],
    [{ a: 1 }, { b: 1 }, "expected { b: 1 }, got { a: 1 }"],
    [{}, [], "expected [], got {}"],
    [new Set([1]), new Set([2]), "expected Set { 2 }, got Set { 1 }"],
  ])("between %o and %o", (got, expected, difference) => {
    expect(findDifference(got, expected)).toBe(difference);
  });
});
