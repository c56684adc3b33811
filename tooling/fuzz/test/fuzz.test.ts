import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { createCase } from "../src/create-case.js";
import { judgeError } from "../src/judge-error.js";
import { tryCase } from "../src/try-case.js";

const folder = mkdtempSync(join(tmpdir(), "kvfold-fuzz-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** `node tooling/fuzz/fuzz.mjs` runs any number, in child processes. */
const SEED = 1;
const CASES = 500;

it(`loads or refuses the first ${CASES} cases of seed ${SEED}`, async () => {
  // Not kvfold's own: the tokenizers of Hugging Face warn of pre-tokenizers that they do not know.
  vi.mocked(console.warn).mockImplementation(() => {});
  const faults: unknown[] = [];
  const outcomes = new Set<string>();
  for (let index = 0; index < CASES; index++) {
    const created = createCase(SEED, index);
    const { outcome, detail, text } = await tryCase(created, join(folder, "MODEL"));
    outcomes.add(outcome);
    if (outcome === "fault") faults.push({ index, mutation: created.mutation, detail, text });
  }
  vi.mocked(console.warn).mockClear();
  expect(faults).toEqual([]);
  expect([...outcomes].toSorted()).toEqual(["loaded", "ran", "refused"]);
});

/** All of a case as one text: comparing weights number by number takes Vitest seconds. */
function textOf(seed: number, index: number): string {
  const { files, ...rest } = createCase(seed, index);
  const contents = [...files].map(([name, content]) => [
    name,
    content instanceof Uint8Array ? Buffer.from(content).toString("base64") : content,
  ]);
  return JSON.stringify([rest, contents]);
}

it("makes the same case of the same seed and number", () => {
  for (let index = 0; index < 50; index++) expect(textOf(7, index)).toBe(textOf(7, index));
  expect(textOf(7, 0)).not.toBe(textOf(8, 0));
});

describe("an error is judged a fault", () => {
  const ours = (message: string, code = "malformed-checkpoint") =>
    Object.assign(new Error(message), { code, [Symbol.for("kvfold.decoder.error")]: true });

  it.each([
    ["that is none of kvfold's own", new TypeError("config.json: x is not a function"), "a foreign error"],
    ["whose message an engine wrote", ours("config.json: Invalid array length"), "a raw message"],
    ["that names no file", ours("hidden_size must be a positive integer"), "a message that names no file"],
    ["without end", ours(`config.json ${"x".repeat(5000)}`), "a message without end"],
    [
      "that comes from ONNX Runtime",
      ours("MODEL: bad graph", "session-failed"),
      "refused late (session-failed)",
    ],
  ])("%s", (_, error, detail) => {
    expect(judgeError(error)).toMatchObject({ outcome: "fault", detail });
  });

  it("not where it is one that says where to look", () => {
    const error = ours("config.json: hidden_size must be a positive integer, found 0");
    expect(judgeError(error)).toMatchObject({ outcome: "refused", detail: "decoder malformed-checkpoint" });
  });
});
