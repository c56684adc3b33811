/** Small tokenizers as `tokenizer.json` has them. */

import { readFileSync } from "node:fs";

type Fields = Readonly<Record<string, unknown>>;

/** A `tokenizer.json`; its model is a BPE. */
export interface ToyTokenizer extends Fields {
  readonly model: Fields & {
    readonly vocab: Fields;
    readonly merges: readonly (readonly [string, string])[];
  };
}

/** The byte-level BPE of prose-6m with other fields, such as another pre-tokenizer. */
export function proseTokenizer(fields: Fields = {}, model: Fields = {}): ToyTokenizer {
  const file = new URL("../../../../assets/models/prose-6m/tokenizer.json", import.meta.url);
  const own = JSON.parse(readFileSync(file, "utf8")) as ToyTokenizer;
  return { ...own, ...fields, model: { ...own.model, ...model } };
}

/** Text is split by a pattern whose matches are words, and then mapped byte by byte. */
export const splitBy = (...splits: readonly Fields[]): Fields => ({
  type: "Sequence",
  pretokenizers: [...splits, { type: "ByteLevel", add_prefix_space: false, use_regex: false }],
});

export const pattern = (regex: string): Fields => ({
  type: "Split",
  pattern: { Regex: regex },
  behavior: "Isolated",
  invert: false,
});

/** `size` tokens that no text contains. */
export const namelessTokens = (size: number): Fields => ({
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
  model: {
    type: "BPE",
    vocab: Object.fromEntries(Array.from({ length: size }, (_, id) => [`t${id}`, id])),
    merges: [],
  },
});

/** Pieces of a SentencePiece model, the best first. */
const PIECES = [
  "▁t",
  "he",
  "in",
  "▁a",
  "re",
  "▁the",
  "er",
  "on",
  "▁th",
  "▁s",
  "the",
  "▁in",
  "nd",
  "▁and",
  "▁▁",
];
const LETTERS = Array.from("▁abcdefghijklmnopqrstuvwxyzTé");

/** A BPE in the manner of Llama 2: bytes stand for what has no token, and merges come from the order of pieces. */
export function pieceTokenizer(): ToyTokenizer {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...PIECES, ...LETTERS];
  const known = new Set(tokens);
  const merges = PIECES.flatMap((piece) =>
    Array.from({ length: piece.length - 1 }, (_, cut): readonly [string, string] => [
      piece.slice(0, cut + 1),
      piece.slice(cut + 1),
    ]).filter((pair) => pair.every((part) => known.has(part))),
  );
  return {
    added_tokens: ["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, special: true })),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: null,
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}
