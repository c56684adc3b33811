import type { FolderSource } from "../../checkpoint/checkpoint.js";
import type { ModelConfig } from "../../families/read-config.js";
import { type Metadata, text } from "../metadata.js";
import { byteLevelMetadata, isByteLevel } from "./byte-level.js";
import { sentencePieceMetadata } from "./sentence-piece.js";
import { specialTokenMetadata, tokenText } from "./special-tokens.js";
import { readTokenizerFiles, type TokenizerFiles } from "./tokenizer-file.js";

/**
 * The vocabulary of a GGUF file: the tokenizer of a checkpoint's folder (`tokenizer.json`, `tokenizer_config.json`) and its
 * chat template.
 *
 * @throws {DecoderError} `unsupported-model` for a tokenizer that llama.cpp does not have, `malformed-checkpoint` for one that
 * is broken or missing.
 */
export async function readGgufTokenizer(source: FolderSource, config: ModelConfig): Promise<Metadata> {
  const files = await readTokenizerFiles(source);
  const template = await chatTemplate(source, files);
  return {
    ...vocabulary(files, config.shape.vocabSize),
    ...specialTokenMetadata(files, config),
    ...(template === undefined ? {} : { "tokenizer.chat_template": text(template) }),
  };
}

const vocabulary = ({ file, settings }: TokenizerFiles, vocabSize: number): Metadata =>
  isByteLevel(file)
    ? byteLevelMetadata(file, vocabSize)
    : sentencePieceMetadata(file, vocabSize, tokenText(settings.unk_token) ?? "<unk>");

/** `chat_template.jinja`, or the template of `tokenizer_config.json`: one, or of a list the one named default. */
async function chatTemplate(source: FolderSource, { settings }: TokenizerFiles): Promise<string | undefined> {
  const file = await source.readText("chat_template.jinja");
  if (file !== undefined) return file;
  const field = settings.chat_template;
  if (typeof field === "string") return field;
  const named = Array.isArray(field) ? field.find((entry) => entry?.name === "default") : undefined;
  return typeof named?.template === "string" ? named.template : undefined;
}
