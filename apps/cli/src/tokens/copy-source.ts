import { type AbortSignalLike, type CopySource, randomPassages, randomTokens } from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import { ordinaryTokens } from "./ordinary-tokens.js";
import { readTokens, type TokenFile } from "./read-tokens.js";
import type { Vocabulary } from "./vocabulary.js";

/** What a copy probe repeats: random tokens, or passages of a text. */
export type RepeatedTokens = "tokens" | "passages";

/** Enough to draw some hundred passages that do not overlap; books have 100 000 tokens. */
const MAX_TOKENS = 2 ** 20;

export declare namespace openCopySource {
  interface Options {
    /** Without text, random tokens are drawn from the whole vocabulary. */
    readonly files: readonly TokenFile[];
    readonly repeat: RepeatedTokens;
    /** The model and its folder. */
    readonly model: { readonly path: string; readonly folder: string; readonly vocabulary: Vocabulary };
    readonly signal: AbortSignalLike;
  }
}

/**
 * Where a copy probe of a model draws from; never special tokens where it draws one by one.
 *
 * @throws {CliError} `usage` for passages of no text; `unsupported-model` when nothing states the size of the vocabulary.
 */
export async function openCopySource(options: openCopySource.Options): Promise<CopySource> {
  const { files, repeat, model, signal } = options;
  if (files.length > 0) {
    const text = await readTokens({ files, vocabulary: model.vocabulary, limit: MAX_TOKENS, signal });
    if (repeat === "passages") return randomPassages(text);
    return randomTokens(text.filter(await ordinaryTokens(model.folder)));
  }
  if (repeat === "passages") {
    throw new CliError("usage", "passages come from a text: give one with --text FILE… or --tokens FILE");
  }
  return randomTokens(vocabularyOf(model).filter(await ordinaryTokens(model.folder)));
}

function vocabularyOf({
  path,
  vocabulary: { vocabSize },
}: openCopySource.Options["model"]): readonly number[] {
  if (Number.isFinite(vocabSize)) return Array.from({ length: vocabSize }, (_, id) => id);
  throw new CliError(
    "unsupported-model",
    `${path}: neither the graph nor config.json states the size of the vocabulary; draw from a text with --text FILE…`,
  );
}
