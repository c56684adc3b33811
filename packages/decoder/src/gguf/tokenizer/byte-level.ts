import { int32s, type Metadata, text, texts } from "../metadata.js";
import { preTokenizerName } from "./pre-tokenizers.js";
import { listTokens, tokenTypes } from "./token-list.js";
import { componentParts, mergePairs, refuseTokenizer, type TokenizerFile } from "./tokenizer-file.js";

/** Whether a tokenizer maps bytes to letters before it merges, as GPT-2's does. */
export const isByteLevel = ({ pre_tokenizer }: TokenizerFile): boolean =>
  componentParts(pre_tokenizer).some(({ type }) => type === "ByteLevel");

/** Metadata of a byte-level BPE. llama.cpp does not normalise text: NFC is left to those who write it. */
export function byteLevelMetadata(file: TokenizerFile, vocabSize: number): Metadata {
  const other = componentParts(file.normalizer).find(({ type }) => type !== "NFC");
  if (other !== undefined) throw refuseTokenizer(`its normalizer is ${other.type}`);
  const tokens = listTokens(file, vocabSize, () => tokenTypes.normal);
  return {
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text(preTokenizerName(file)),
    "tokenizer.ggml.tokens": texts(tokens.map((token) => token.text)),
    "tokenizer.ggml.token_type": int32s(tokens.map(({ type }) => type)),
    "tokenizer.ggml.merges": texts(mergePairs(file.model).map((pair) => pair.join(" "))),
  };
}
