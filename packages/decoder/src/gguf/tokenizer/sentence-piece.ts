/**
 * BPE in the manner of SentencePiece. llama.cpp has no merges there: it joins whichever neighbours make the token with the
 * highest score. Merges that come from scores, as those of tokenizer.json do, are scores again by their order.
 */

import { flag, float32s, int32s, type Metadata, text, texts } from "../metadata.js";
import { listTokens, tokenTypes } from "./token-list.js";
import {
  type Component,
  componentParts,
  mergePairs,
  refuseTokenizer,
  type TokenizerFile,
} from "./tokenizer-file.js";

/** SentencePiece's space. */
const SPACE = "▁";

/** Metadata of a BPE with byte fallback whose words begin with `▁`. */
export function sentencePieceMetadata(
  file: TokenizerFile,
  vocabSize: number,
  unknown: string | undefined,
): Metadata {
  requireBytes(file);
  const ranks = mergeRanks(file);
  const tokens = listTokens(file, vocabSize, (token) => {
    if (BYTE_TOKEN.test(token)) return tokenTypes.byte;
    return token === unknown ? tokenTypes.unknown : tokenTypes.normal;
  });
  return {
    "tokenizer.ggml.model": text("llama"),
    "tokenizer.ggml.pre": text("default"),
    "tokenizer.ggml.tokens": texts(tokens.map((token) => token.text)),
    "tokenizer.ggml.scores": float32s(tokens.map((token) => -(ranks.get(token.text) ?? ranks.size))),
    "tokenizer.ggml.token_type": int32s(tokens.map(({ type }) => type)),
    "tokenizer.ggml.add_space_prefix": flag(addsSpace(file)),
  };
}

const BYTE_TOKEN = /^<0x[0-9A-F]{2}>$/;

/** llama.cpp writes what has no token as bytes, and fails where there are none. */
function requireBytes({ model: { vocab, byte_fallback } }: TokenizerFile): void {
  const name = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  const complete = Array.from({ length: 256 }, (_, byte) => name(byte)).every((token) =>
    Object.hasOwn(vocab, token),
  );
  if (byte_fallback !== true || !complete)
    throw refuseTokenizer("its BPE has no byte fallback with tokens for all 256 bytes");
}

/**
 * The rank of each token that merges make: the better, the smaller.
 *
 * @throws {DecoderError} `unsupported-model` when ranks of tokens cannot say what the merges do.
 */
function mergeRanks(file: TokenizerFile): ReadonlyMap<string, number> {
  const ranks = new Map<string, number>();
  const pairs = mergePairs(file.model);
  let last: string | undefined;
  for (const [left, right] of pairs) {
    const token = left + right;
    if (token !== last && ranks.has(token)) throw unscored();
    if (token !== last) ranks.set(token, ranks.size);
    last = token;
  }
  requireAllSplits(file, pairs, ranks);
  return ranks;
}

/** By scores, all two tokens that make a third one are joined; so merges must list every such pair. */
function requireAllSplits(
  { model: { vocab } }: TokenizerFile,
  pairs: readonly (readonly [string, string])[],
  ranks: ReadonlyMap<string, number>,
): void {
  const listed = new Set(pairs.map(([left, right]) => `${left} ${right}`));
  for (const token of ranks.keys()) {
    for (let cut = 1; cut < token.length; cut++) {
      const [left, right] = [token.slice(0, cut), token.slice(cut)];
      const both = Object.hasOwn(vocab, left) && Object.hasOwn(vocab, right);
      if (both && !listed.has(`${left} ${right}`)) throw unscored();
    }
  }
}

const unscored = () => refuseTokenizer("its merges do not follow from scores of tokens");

/** Whether a text begins with a space that it does not have. */
function addsSpace({ normalizer, pre_tokenizer }: TokenizerFile): boolean {
  const steps = [...componentParts(normalizer), ...componentParts(pre_tokenizer)];
  let prefix = false;
  for (const step of steps) {
    if (step.type === "Prepend" && step.prepend === SPACE) prefix = true;
    else if (step.type === "Metaspace" && step.replacement === SPACE && step.split === false)
      prefix ||= prefixOfMetaspace(step.prepend_scheme);
    else if (step.type !== "Replace" || !replacesSpaces(step))
      throw refuseTokenizer(`it has a step ${step.type}`);
  }
  return prefix;
}

const prefixOfMetaspace = (scheme: unknown): boolean => scheme !== "never";

const replacesSpaces = ({ pattern, content }: Component): boolean =>
  content === SPACE && (pattern as { readonly String?: unknown } | undefined)?.String === " ";
