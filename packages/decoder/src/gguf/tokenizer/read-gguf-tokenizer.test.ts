import { describe, expect, it } from "vitest";
import {
  memoryFolder,
  syntheticCheckpoint,
  tinyLlama,
} from "../../../test/reference/synthetic-checkpoint.js";
import { pattern, pieceTokenizer, proseTokenizer, splitBy } from "../../../test/support/toy-tokenizers.js";
import type { MetadataValue } from "../metadata.js";
import { readGgufTokenizer } from "./read-gguf-tokenizer.js";

interface Reading {
  readonly tokenizer?: object | undefined;
  readonly settings?: object;
  readonly config?: object;
  readonly files?: Readonly<Record<string, string>>;
}

/** Metadata as plain values, lists by name. */
interface ReadTokenizer extends Readonly<Record<string, unknown>> {
  readonly tokens: readonly string[];
  readonly token_type: readonly number[];
  readonly scores: readonly number[];
  readonly merges: readonly string[];
}

/** Reads a tokenizer; keys come without `tokenizer.ggml.` in front. */
async function read({ tokenizer = proseTokenizer(), settings, config, files = {} }: Reading) {
  const checkpoint = await syntheticCheckpoint({ config: { ...tinyLlama, vocab_size: 4096, ...config } });
  const source = memoryFolder(
    new Map([
      ["tokenizer.json", JSON.stringify(tokenizer)],
      ["tokenizer_config.json", JSON.stringify(settings ?? {})],
      ...Object.entries(files),
    ]),
  );
  const metadata = await readGgufTokenizer(source, checkpoint.config);
  const plainValue = (value: MetadataValue) => (value.type === "array" ? value.values : value.value);
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => [key.replace("tokenizer.ggml.", ""), plainValue(value)]),
  ) as unknown as ReadTokenizer;
}

const refusal = (found: string) =>
  expect.objectContaining({
    code: "unsupported-model",
    message: expect.stringContaining(`tokenizer.json: ${found}`),
  });

describe("readGgufTokenizer", () => {
  it("lists tokens, kinds and merges of a byte-level BPE", async () => {
    const { model, pre, tokens, token_type, merges } = await read({ config: { vocab_size: 4100 } });
    expect({ model, pre }).toEqual({ model: "gpt2", pre: "gpt-2" });
    expect(tokens.slice(0, 3)).toEqual(["<|endoftext|>", "!", '"']);
    expect(tokens.slice(4095)).toEqual([
      expect.any(String),
      "[PAD4096]",
      "[PAD4097]",
      "[PAD4098]",
      "[PAD4099]",
    ]);
    expect([token_type[0], token_type[1], token_type[4096]]).toEqual([3, 1, 5]);
    expect(merges.slice(0, 2)).toEqual(["Ġ t", "h e"]);
  });

  it("reads merges of older files, and leaves out tokens that the model has no row for", async () => {
    const joined = proseTokenizer({}, { merges: ["Ġ t", "h e"] });
    const { tokens, merges } = await read({ tokenizer: joined, config: { vocab_size: 4000 } });
    expect(tokens).toHaveLength(4000);
    expect(merges).toEqual(["Ġ t", "h e"]);
  });

  it("scores pieces by the order of their merges", async () => {
    const { tokens, scores, token_type, ...rest } = await read({
      tokenizer: pieceTokenizer(),
      config: { vocab_size: 320 },
    });
    expect(rest).toMatchObject({ model: "llama", pre: "default", add_space_prefix: true });
    const scoreOf = (token: string) => scores[tokens.indexOf(token)]!;
    expect(scoreOf("▁t")).toBe(-0);
    expect(scoreOf("▁the")).toBeLessThan(scoreOf("he"));
    expect(scoreOf("z")).toBeLessThan(scoreOf("▁and"));
    expect(token_type.slice(0, 4)).toEqual([2, 3, 3, 6]);
  });

  it.each([
    ["the post-processor", {}, { bos_token_id: 1, add_bos_token: true, add_eos_token: false }],
    ["the setting against it", { settings: { add_bos_token: false } }, { add_bos_token: false }],
    [
      "names in tokenizer_config.json",
      { settings: { eos_token: { content: "</s>" }, unk_token: "<unk>" }, config: { eos_token_id: 7 } },
      { eos_token_id: 2, unknown_token_id: 0 },
    ],
    ["config.json, the first of several", { config: { eos_token_id: [5, 6] } }, { eos_token_id: 5 }],
  ] as const)("takes special tokens from %s", async (_, { config = {}, ...reading }: Reading, expected) => {
    const read320 = { tokenizer: pieceTokenizer(), ...reading, config: { vocab_size: 320, ...config } };
    expect(await read(read320)).toMatchObject(expected);
  });

  it("adds a first token by the setting alone, and none that the vocabulary lacks", async () => {
    const settings = { add_bos_token: true, bos_token: "<|endoftext|>" };
    expect(await read({ settings })).toMatchObject({ bos_token_id: 0, add_bos_token: true });
    const absent = await read({
      settings: { add_bos_token: true, bos_token: "<s>" },
      config: { eos_token_id: 9999 },
    });
    expect(absent).toMatchObject({ add_bos_token: false });
    expect(absent).not.toHaveProperty("bos_token_id");
    expect(absent).not.toHaveProperty("eos_token_id");
  });

  it("carries the chat template", async () => {
    const key = "tokenizer.chat_template";
    const listed = [
      { name: "tool_use", template: "a" },
      { name: "default", template: "b" },
    ];
    expect(await read({ settings: { chat_template: "{{ x }}" } })).toMatchObject({ [key]: "{{ x }}" });
    expect(await read({ settings: { chat_template: listed } })).toMatchObject({ [key]: "b" });
    const files = { "chat_template.jinja": "{{ file }}" };
    expect(await read({ settings: { chat_template: listed }, files })).toMatchObject({ [key]: "{{ file }}" });
    expect(await read({})).not.toHaveProperty(key);
  });

  const pieces = pieceTokenizer();
  const merges = pieces.model.merges;
  it.each([
    [
      "a pattern of its own",
      proseTokenizer({ pre_tokenizer: splitBy(pattern("\\w+")) }),
      "its pre_tokenizer splits",
    ],
    [
      "a space before texts",
      proseTokenizer({ pre_tokenizer: { type: "ByteLevel", add_prefix_space: true } }),
      "its pre_tokenizer begins texts",
    ],
    ["whole words before merges", proseTokenizer({}, { ignore_merges: true }), "its pre_tokenizer splits"],
    ["a normalizer", proseTokenizer({ normalizer: { type: "Lowercase" } }), "its normalizer is Lowercase"],
    [
      "two tokens of one text",
      proseTokenizer({ added_tokens: [{ id: 7, content: "!", special: false }] }),
      "tokens 1 and 7 have the same text",
    ],
    [
      "no bytes",
      { ...pieces, model: { ...pieces.model, byte_fallback: false } },
      "its BPE has no byte fallback",
    ],
    [
      "merges without one that scores make",
      { ...pieces, model: { ...pieces.model, merges: merges.filter(([left]) => left !== "▁th") } },
      "its merges do not follow",
    ],
    [
      "merges of a token in two places",
      { ...pieces, model: { ...pieces.model, merges: merges.toReversed().concat(merges) } },
      "its merges do not follow",
    ],
    ["another step", { ...pieces, normalizer: { type: "NFKC" } }, "it has a step NFKC"],
    [
      "another model",
      { model: { type: "Unigram", vocab: [] } },
      'expected a BPE model with vocab and merges for gguf, found "Unigram"',
    ],
  ])("refuses %s", async (_, tokenizer, found) => {
    await expect(read({ tokenizer })).rejects.toThrow(refusal(found));
  });

  it("says that a folder has no tokenizer, or a broken one", async () => {
    const { config } = await syntheticCheckpoint({ config: tinyLlama });
    const reading = (files: readonly (readonly [string, string])[]) =>
      readGgufTokenizer(memoryFolder(new Map(files)), config);
    const malformed = (message: string) =>
      expect.objectContaining({ code: "malformed-checkpoint", message: expect.stringContaining(message) });
    await expect(reading([])).rejects.toThrow(malformed("memory has no tokenizer.json"));
    await expect(reading([["tokenizer.json", "{"]])).rejects.toThrow(malformed("tokenizer.json is not JSON"));
    await expect(reading([["tokenizer.json", "[]"]])).rejects.toThrow(
      malformed("tokenizer.json: expected an object"),
    );
  });
});
