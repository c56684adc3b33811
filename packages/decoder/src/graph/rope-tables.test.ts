import { expect, it } from "vitest";
import type { Emitter } from "./emitter.js";
import { emitRopeTables, emitSwitchedTables } from "./rope-tables.js";

const rope = { headDim: 128, rotaryDim: 128, theta: 10_000, ropeType: "default", scaling: {} } as const;

it("tables that a config would make larger than memory are refused before they are made", () => {
  const refusal = expect.objectContaining({
    code: "invalid-option",
    message: expect.stringMatching(
      /^the rotation tables of \d+ positions .* shorter context with maxPositions/,
    ),
  });
  expect(() => emitRopeTables({} as Emitter, rope, 2 ** 27)).toThrow(refusal);
  expect(() => emitSwitchedTables({} as Emitter, rope, 2 ** 20, 2 ** 21)).toThrow(refusal);
});
