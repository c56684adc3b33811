import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { readCalibrationText } from "../src/tokens/calibration-windows.js";
import { openCopySource } from "../src/tokens/copy-source.js";
import { readTokens, tokenFile, type Vocabulary } from "../src/tokens/read-tokens.js";
import { loadTokenizer } from "../src/tokens/text-tokenizer.js";
import {
  CALIBRATION_TOKENS,
  failureOf,
  ROPE_MODEL,
  temporaryFolder,
  VALIDATION_TEXT,
  VALIDATION_TOKENS,
} from "./support.js";

const vocabulary: Vocabulary = {
  vocabSize: 4096,
  bosToken: 0,
  loadTokenizer: () => loadTokenizer(ROPE_MODEL),
};
const signal = { aborted: false };

describe("readTokens", () => {
  it("makes the very tokens of a book that the model's authors made of it", async () => {
    const book = await readTokens({ files: [tokenFile(VALIDATION_TEXT)], vocabulary });
    // The third of the four works in the reference file, found by its first token.
    const reference = await readTokens({ files: [tokenFile(VALIDATION_TOKENS)], vocabulary });
    const start = [...reference.keys()].filter((index) => reference[index] === 0)[2]!;
    expect(book.length).toBe(92_560);
    expect(book).toEqual(reference.slice(start, start + book.length));
  });

  it("joins files and stops at the limit", async () => {
    const folder = await temporaryFolder();
    const first = join(folder, "a.u16");
    const second = join(folder, "b.u16");
    await writeFile(first, Uint8Array.of(1, 0, 2, 1));
    await writeFile(second, Uint8Array.of(3, 0, 4, 0));
    const files = [first, second].map(tokenFile);
    expect([...(await readTokens({ files, vocabulary }))]).toEqual([1, 258, 3, 4]);
    expect([...(await readTokens({ files, vocabulary, limit: 3 }))]).toEqual([1, 258, 3]);
  });

  it.each([
    ["odd.u16", Uint8Array.of(1, 0, 2), "malformed-tokens"],
    ["foreign.u16", Uint8Array.of(255, 255), "malformed-tokens"],
    ["latin1.txt", Uint8Array.of(0x63, 0x61, 0x66, 0xe9), "malformed-checkpoint"],
  ])("refuses %s and names it", async (name, bytes, code) => {
    const path = join(await temporaryFolder(), name);
    await writeFile(path, bytes);
    const error = await failureOf(readTokens({ files: [tokenFile(path)], vocabulary }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(path);
  });

  it("refuses what is no file", async () => {
    const folder = await temporaryFolder();
    const missing = join(folder, "missing.txt");
    expect(await failureOf(readTokens({ files: [tokenFile(missing)], vocabulary }))).toMatchObject({
      code: "unreadable-file",
      message: `${missing}: no such file`,
    });
    expect((await failureOf(readTokens({ files: [tokenFile(folder)], vocabulary }))).code).toBe(
      "unreadable-file",
    );
  });
});

describe("loadTokenizer", () => {
  it("names a folder without one", async () => {
    const folder = await temporaryFolder();
    expect(await failureOf(loadTokenizer(folder))).toMatchObject({ code: "unreadable-file" });
    await writeFile(join(folder, "tokenizer.json"), "{");
    expect(await failureOf(loadTokenizer(folder))).toMatchObject({ code: "malformed-file" });
  });

  it("gives text back", async () => {
    const { encode, decode } = await loadTokenizer(ROPE_MODEL);
    expect(decode(encode("It was a dark night — naïve."))).toBe("It was a dark night — naïve.");
  });
});

describe("openCopySource", () => {
  const model = { path: "m", folder: ROPE_MODEL, vocabulary };
  const options: openCopySource.Options = { files: [], repeat: "tokens", model, signal };

  it("draws every token of the vocabulary but the special one", async () => {
    const source = await openCopySource(options);
    // Each of 4095 tokens 20 times: one is missing with a probability of e^-20 each.
    const drawn = new Set(source(20 * 4095, createRandom(1)));
    expect(drawn.size).toBe(4095);
    expect(drawn.has(0)).toBe(false);
  });

  it("needs to know the vocabulary", async () => {
    const unknown = { ...model, vocabulary: { ...vocabulary, vocabSize: Number.POSITIVE_INFINITY } };
    const { code, message } = await failureOf(openCopySource({ ...options, model: unknown }));
    expect(code).toBe("unsupported-model");
    expect(message).toContain("--text");
  });
});

describe("readCalibrationText", () => {
  const files = [tokenFile(CALIBRATION_TOKENS)];
  const model = { maxPositions: 1024, signal };

  it("drops the last token of each window of one more", async () => {
    const bytes = await readFile(CALIBRATION_TOKENS);
    const { windows, window } = await readCalibrationText({ files, windows: 3 }, vocabulary, model);
    expect(window).toBe(1024);
    expect(windows.map(({ length }) => length)).toEqual([1024, 1024, 1024]);
    expect(windows[1]![0]).toBe(bytes.readUInt16LE(2 * 1025));
  });

  it("takes 128 windows unless told otherwise, or what there is", async () => {
    expect((await readCalibrationText({ files }, vocabulary, model)).windows).toHaveLength(128);
    const long = await readCalibrationText({ files, window: 4096 }, vocabulary, {
      ...model,
      maxPositions: 4096,
    });
    expect(long.windows).toHaveLength(64);
  });

  it("cuts windows down to the model's context", async () => {
    const { window } = await readCalibrationText({ files, windows: 1 }, vocabulary, {
      ...model,
      maxPositions: 64,
    });
    expect(window).toBe(64);
  });

  it("fails when the text is too short for what was asked", async () => {
    const asked = await failureOf(readCalibrationText({ files, windows: 1000 }, vocabulary, model));
    expect(asked).toMatchObject({ code: "too-few-tokens" });
    expect(asked.message).toContain("256 windows");
    const path = join(await temporaryFolder(), "short.txt");
    await writeFile(path, "Too short.");
    const short = await failureOf(readCalibrationText({ files: [tokenFile(path)] }, vocabulary, model));
    expect(short).toMatchObject({ code: "too-few-tokens" });
    expect(short.message).toContain(path);
  });
});
