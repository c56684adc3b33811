import { type Component, componentParts, refuseTokenizer, type TokenizerFile } from "./tokenizer-file.js";

/** A way of cutting text into words that llama.cpp knows by name. */
interface KnownPreTokenizer {
  /** `tokenizer.ggml.pre`. */
  readonly name: string;
  /** What stands before the mapping of bytes: patterns whose matches are words, or `digits` for single digits. */
  readonly splits: readonly string[];
  /** Whether words that are tokens are taken whole, whatever the merges say. */
  readonly ignoresMerges: boolean;
}

/** GPT-2's own pattern, which `ByteLevel` of tokenizer.json stands for. */
const GPT2 = "gpt2";
/** `Digits` of tokenizer.json: each digit is a word. */
const DIGITS = "digits";

/** The pattern of GPT-4's cl100k with numbers of `digits`, as Llama 3 and Qwen 2 have it. */
const cl100k = (digits: string) =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const LLAMA3 = cl100k(String.raw`\p{N}{1,3}`);
const QWEN2 = cl100k(String.raw`\p{N}`);
/** Mistral's Tekken. */
const TEKKEN = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

const known: readonly KnownPreTokenizer[] = [
  { name: "gpt-2", splits: [GPT2], ignoresMerges: false },
  { name: "smollm", splits: [DIGITS, GPT2], ignoresMerges: false },
  { name: "llama-bpe", splits: [LLAMA3], ignoresMerges: true },
  { name: "smaug-bpe", splits: [LLAMA3], ignoresMerges: false },
  { name: "qwen2", splits: [QWEN2], ignoresMerges: false },
  { name: "tekken", splits: [TEKKEN], ignoresMerges: true },
];

/**
 * The name under which llama.cpp knows the pre-tokenizer of a byte-level BPE.
 *
 * @throws {DecoderError} `unsupported-model` when it knows none that does the same.
 */
export function preTokenizerName({ pre_tokenizer, model }: TokenizerFile): string {
  const splits = componentParts(pre_tokenizer).flatMap(describeSplit);
  const ignoresMerges = model.ignore_merges === true;
  const found = known.find(
    (candidate) =>
      candidate.ignoresMerges === ignoresMerges &&
      candidate.splits.length === splits.length &&
      candidate.splits.every((split, index) => split === splits[index]),
  );
  if (found !== undefined) return found.name;
  throw refuseTokenizer("its pre_tokenizer splits text in a way of its own");
}

function describeSplit(part: Component): readonly string[] {
  switch (part.type) {
    case "ByteLevel":
      if (part.add_prefix_space === true)
        throw refuseTokenizer("its pre_tokenizer begins texts with a space");
      return part.use_regex === false ? [] : [GPT2];
    case "Digits":
      return [part.individual_digits === true ? DIGITS : "groups of digits"];
    case "Split":
      return [splitPattern(part)];
    default:
      return [part.type];
  }
}

/** A pattern whose matches are words; other uses of patterns are described so that no known one is equal. */
function splitPattern({ pattern, behavior, invert }: Component): string {
  const regex = (pattern as { readonly Regex?: unknown } | undefined)?.Regex;
  const isolates = behavior === "Isolated" && invert !== true;
  const keepsMatches = behavior === "Removed" && invert === true;
  return typeof regex === "string" && (isolates || keepsMatches) ? regex : "another use of a pattern";
}
