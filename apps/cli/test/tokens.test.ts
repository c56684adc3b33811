import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readTokenizer } from "@kvfold/converter/node";
import { createRandom } from "@kvfold/runtime";
import { describe, expect, it } from "vitest";
import { readFolderConfig } from "../src/models/folder-config.js";
import {
  type CalibrationOptions,
  describeText,
  readCalibrationText,
} from "../src/tokens/calibration-windows.js";
import { openCopySource } from "../src/tokens/copy-source.js";
import { readTokens, tokenFile, tokenIdFile } from "../src/tokens/read-tokens.js";
import { folderVocabulary, type Vocabulary } from "../src/tokens/vocabulary.js";
import {
  CALIBRATION_TOKENS,
  failureOf,
  ROPE_MODEL,
  temporaryFolder,
  VALIDATION_TEXT,
  VALIDATION_TOKENS,
} from "./support.js";
import { ADDS_BOS, type Changes, PAD, tinyLlama } from "./tiny-llama.js";

const vocabulary: Vocabulary = {
  vocabSize: 4096,
  bosToken: 0,
  loadTokenizer: () => readTokenizer(ROPE_MODEL),
};
const signal = { aborted: false };

const vocabularyOf = async (folder: string): Promise<Vocabulary> =>
  folderVocabulary(folder, await readFolderConfig(folder));

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

  it("reads ids of large vocabularies from .u32 files, beside others", async () => {
    const folder = await temporaryFolder();
    const [large, small] = [join(folder, "a.u32"), join(folder, "b.u16")];
    await writeFile(large, Uint8Array.of(0xff, 0xf4, 0x01, 0x00, 1, 0, 0, 0));
    await writeFile(small, Uint8Array.of(3, 0));
    const files = [large, small].map(tokenFile);
    const llama3 = { ...vocabulary, vocabSize: 128_256 };
    expect([...(await readTokens({ files, vocabulary: llama3 }))]).toEqual([0x1f4ff, 1, 3]);
    expect([large, "x.bin"].map(tokenIdFile).map(({ format }) => format)).toEqual(["uint32", "uint16"]);
  });

  it("names tokens of a text that the model does not have", async () => {
    const folder = await tinyLlama({ addedTokens: [PAD] });
    const path = join(folder, "padded.txt");
    await writeFile(path, "a b\n\nc <pad> d");
    const read = readTokens({ files: [tokenFile(path)], vocabulary: await vocabularyOf(folder) });
    expect((await failureOf(read)).message).toContain(
      `${path}: token 64 (<pad>) is not in the vocabulary of 64; `,
    );
  });

  it("begins a text with one BOS", async () => {
    const folder = await tinyLlama({ tokenizer: { post_processor: ADDS_BOS } });
    const path = join(folder, "text.txt");
    await writeFile(path, "<s>ab");
    const tokens = await readTokens({ files: [tokenFile(path)], vocabulary: await vocabularyOf(folder) });
    expect([...tokens.subarray(0, 3)]).toEqual([1, 30, 5]);
  });

  it.each([
    ["odd.u16", Uint8Array.of(1, 0, 2), "malformed-tokens"],
    ["odd.u32", Uint8Array.of(1, 0, 0, 0, 2, 0), "malformed-tokens"],
    ["foreign.u16", Uint8Array.of(255, 255), "malformed-tokens"],
    ["foreign.u32", Uint8Array.of(0, 0, 1, 0), "malformed-tokens"],
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

describe("readTokenizer", () => {
  it("names a folder without one", async () => {
    const folder = await temporaryFolder();
    const code = "malformed-tokenizer";
    const message = `${folder} has no tokenizer.json, so text cannot become tokens; add it, or give token ids in place of text`;
    expect(await failureOf(readTokenizer(folder))).toMatchObject({ code, message });
  });

  it("quotes no more of a broken one than fits a message", async () => {
    const folder = await temporaryFolder();
    const definition = {
      pre_tokenizer: { type: "x".repeat(20_000) },
      model: { type: "BPE", vocab: {}, merges: [] },
    };
    await writeFile(join(folder, "tokenizer.json"), JSON.stringify(definition));
    const { message } = await failureOf(readTokenizer(folder));
    expect(message).toMatch(/tokenizer\.json .* unknown kind/);
    expect(message.length).toBeLessThan(600);
  });

  it("gives text back", async () => {
    const { encode, decode } = await readTokenizer(ROPE_MODEL);
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

  describe("and BOS", () => {
    /** Windows of "a b c d e f" (30 to 35) with the newlines after it (0, 0), which the model does not know. */
    async function windowsOf(changes: Changes, options: Partial<CalibrationOptions> = {}) {
      const folder = await tinyLlama(changes);
      const path = join(folder, "text.txt");
      const ids = join(folder, "ids.u32");
      await writeFile(path, "a b c d e f");
      await writeFile(ids, Uint32Array.from([30, 31, 32, 33, 34, 35]));
      const text = await readCalibrationText(
        {
          files: [tokenFile(path)],
          window: 3,
          ...options,
          ...(options.files && { files: [tokenFile(ids)] }),
        },
        await vocabularyOf(folder),
        { maxPositions: 64, signal },
      );
      return { windows: text.windows.map((window) => [...window]), bos: describeText(text).bosToken };
    }
    const adding: Changes = { tokenizer: { post_processor: ADDS_BOS } };
    const idFiles = { files: [] };
    const begun = [
      [1, 30, 31],
      [1, 33, 34],
    ];
    const ofDocument = [
      [1, 30, 31],
      [33, 34, 35],
    ];
    const ofIds = [[30, 31, 32]];

    it.each([
      ["every window where the tokenizer adds it", adding, {}, begun, 1],
      ["the document alone where config.json names it", {}, {}, ofDocument, null],
      ["the document alone on request", adding, { bos: "documents" }, ofDocument, null],
      ["every window on request", {}, { bos: "windows" }, begun, 1],
      ["no window of token ids", adding, idFiles, ofIds, null],
      ["every window of token ids on request", {}, { ...idFiles, bos: "windows" }, begun, 1],
    ] as const)("begins with it: %s", async (_, changes, options, windows, bos) => {
      expect(await windowsOf(changes, options)).toEqual({ windows, bos });
    });

    it.each([null, 64])("refuses to begin windows with a BOS of %j", async (bos_token_id) => {
      const error = await failureOf(windowsOf({ config: { bos_token_id } }, { ...idFiles, bos: "windows" }));
      expect(error).toMatchObject({ code: "unsupported-model" });
      expect(error.message).toContain("--bos: neither the tokenizer nor bos_token_id of config.json");
    });
  });
});
