import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { plainProducts } from "@kvfold/linalg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { oneThreadProvider } from "../../decoder/test/support/one-thread-provider.js";
import { createBlockMath } from "../src/index.js";
import { fold } from "../src/node.js";
import { principalComponents } from "./own/principal-components.mjs";
import { differingFiles, readFolder } from "./support/read-folder.js";
import { writeTinyLlama } from "./support/tiny-folder.js";

let root: string;
let from: string;
let to: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-fold-"));
  [from, to] = [join(root, "model"), join(root, "folded")];
  await writeTinyLlama(from);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const alphabet = "abcdefghijklmnopqrstuvwxyz";
/** Nine paragraphs of 26 tokens. */
const content = Array.from({ length: 9 }, () => alphabet).join("\n\n");
/** In this thread: another takes a second to start. */
const math = createBlockMath(plainProducts);
const options = () =>
  ({ from, to, keep: "1/2", windowLength: 20, provider: oneThreadProvider(), math }) as const;

const readRecord = async () =>
  JSON.parse(await readFile(join(to, "kvfold.json"), "utf8")) as Record<string, unknown>;

describe("fold", () => {
  it("folds a folder into another with a text", async () => {
    const file = join(root, "book.txt");
    await writeFile(file, content);
    const { plan } = await fold({ ...options(), text: file });
    expect(plan).toMatchObject({ method: "anchored", keep: "1/2", achieved: 1 / 2 });
    expect((await readdir(to)).toSorted()).toEqual([
      "README.md",
      "config.json",
      "kvfold.json",
      "onnx",
      "tokenizer.json",
    ]);
    expect(await readRecord()).toMatchObject({
      plan,
      model: "model",
      reference: "docs/method.md",
      // 235 tokens with BOS, in windows of 20 and one that is only predicted.
      calibration: { files: ["book.txt"], windows: 11, window: 20, tokens: 220 },
    });
    expect(await readdir(root)).toHaveLength(3);
  });

  it("takes text in pieces, and windows of tokens in its place", async () => {
    const ids = Array.from(alphabet, (_, index) => index + 1);
    const tokens = [60, ...ids, ...ids];
    const windows = [0, 21].map((start) => Int32Array.from(tokens.slice(start, start + 20)));
    const svd = { ...options(), method: "svd-a" } as const;
    await writeFile(join(root, "a.txt"), alphabet);
    await fold({ ...svd, windowCount: 2, text: [pathToFileURL(join(root, "a.txt")), { content }] });
    // The second document begins with BOS again.
    const written = await readFolder(to);
    const second = [60, ...ids, 60, ...ids];
    const same = [0, 21].map((start) => Int32Array.from(second.slice(start, start + 20)));
    await rm(to, { recursive: true });
    await fold({ ...svd, windows: same });
    // The card names the text, too.
    expect(differingFiles(written, await readFolder(to))).toEqual(["README.md", "kvfold.json"]);
    await rm(to, { recursive: true });
    await fold({ ...svd, windows });
    expect(differingFiles(written, await readFolder(to))).not.toEqual(["README.md", "kvfold.json"]);
  });

  it("begins windows with the token that the tokenizer begins texts with", async () => {
    const settings = { add_bos_token: true, bos_token: "z" };
    await writeFile(join(from, "tokenizer_config.json"), JSON.stringify(settings));
    await fold({ ...options(), method: "svd-a", text: { content } });
    expect(await readRecord()).toMatchObject({ calibration: { windows: 11, bosToken: 26 } });
  });

  it("wants neither text, provider nor thread", async () => {
    const { plan } = await fold({ from, to, keep: 1 / 4, method: "svd-w" });
    expect(plan.keep).toBe("1/4");
    expect(await readRecord()).toMatchObject({ calibration: null });
  });

  it("folds with a method of one's own", async () => {
    const { math: _, ...own } = options();
    const { plan } = await fold({ ...own, text: { content }, method: principalComponents });
    expect(plan.method).toBe("principal-components");
    expect(await readRecord()).toMatchObject({ reference: "Pearson 1901" });
  });

  it("says how far it is", async () => {
    const seen: number[] = [];
    const onProgress = ({ done, total }: { done: number; total: number }) => seen.push(done / total);
    await fold({ ...options(), text: { content }, method: "svd-a", onProgress });
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  });

  it("replaces an earlier output where told to, and only then", async () => {
    const svd = { from, to, keep: "1/2", method: "svd-w", math } as const;
    await fold(svd);
    await expect(fold({ ...svd, keep: "1/4" })).rejects.toThrow(
      expect.objectContaining({ code: "output-exists" }),
    );
    expect(await readRecord()).toMatchObject({ plan: { keep: "1/2" } });
    await fold({ ...svd, keep: "1/4", existing: "replace" });
    expect(await readRecord()).toMatchObject({ plan: { keep: "1/4" } });
  });
});

describe("fold leaves nothing behind", () => {
  it.each([
    ["no text", {}, "insufficient-data", "text", /^text is missing: method anchored with heal both /],
    [
      "a text that is nowhere",
      { text: "nowhere.txt" },
      "invalid-option",
      "text",
      /^text nowhere.txt is not a file/,
    ],
    ["a folder for a text", { text: "." }, "invalid-option", "text", /^text \. is not a file/],
    ["a share that cannot be", { keep: "1/3", method: "mean" }, "invalid-option", "keep", /^keep 1\/3: /],
  ] as const)("with %s", async (_, change, code, option, message) => {
    await expect(fold({ ...options(), ...change })).rejects.toThrow(
      expect.objectContaining({ code, option, message: expect.stringMatching(message) }),
    );
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("with too little text", async () => {
    await expect(fold({ ...options(), text: { content: "abc" } })).rejects.toThrow(
      /^text holds 4 tokens, enough for 0 windows of 21/,
    );
    expect(await readdir(root)).toEqual(["model"]);
  });

  it.each([
    ["no tokenizer", undefined, /model has no tokenizer\.json, so text cannot become tokens; add it/],
    ["a broken tokenizer", "{}", /tokenizer\.json or tokenizer_config\.json is broken/],
    // Without the check, the tokenizer's own code takes all memory and the process ends.
    [
      "a tokenizer whose token claims a length",
      '{ "added_tokens": [{ "content": { "length": 1e9 } }] }',
      /unknown kind \(.*expected added_tokens\[0\] to be/,
    ],
  ])("with %s", async (_, definition, message) => {
    await rm(join(from, "tokenizer.json"));
    if (definition !== undefined) await writeFile(join(from, "tokenizer.json"), definition);
    await expect(fold({ ...options(), text: { content } })).rejects.toThrow(
      expect.objectContaining({ code: "malformed-tokenizer", message: expect.stringMatching(message) }),
    );
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("when it is stopped", async () => {
    const signal = { aborted: false };
    const onProgress = () => {
      signal.aborted = true;
    };
    await expect(fold({ ...options(), text: { content }, signal, onProgress })).rejects.toThrow(
      expect.objectContaining({ code: "aborted" }),
    );
    expect(await readdir(root)).toEqual(["model"]);
  });

  it("of a checkpoint that it would replace", async () => {
    const before = await readFolder(from);
    for (const place of [from, root, join(from, "..", "model")]) {
      const folding = fold({ from, to: place, keep: "1/2", method: "svd-w", existing: "replace" });
      await expect(folding).rejects.toThrow(expect.objectContaining({ code: "output-exists", option: "to" }));
    }
    expect(differingFiles(before, await readFolder(from))).toEqual([]);
  });
});
