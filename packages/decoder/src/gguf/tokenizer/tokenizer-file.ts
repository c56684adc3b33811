import type { FolderSource } from "../../checkpoint/checkpoint.js";
import { DecoderError } from "../../decoder-error.js";
import { showValue } from "../../show-value.js";

/** What of `tokenizer.json` matters here; the file is read as it is and may hold anything. */
export interface TokenizerFile {
  readonly added_tokens?: readonly AddedToken[] | null;
  readonly normalizer?: Component | null;
  readonly pre_tokenizer?: Component | null;
  readonly post_processor?: Component | null;
  readonly model: TokenizerModel;
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special?: boolean;
}

/** A normalizer, pre-tokenizer or post-processor; sequences hold further ones. */
export interface Component {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface TokenizerModel {
  readonly type?: string;
  readonly vocab: Readonly<Record<string, number>>;
  /** Pairs, or in older files pairs joined by a space. */
  readonly merges: readonly (string | readonly [string, string])[];
  readonly byte_fallback?: boolean;
  readonly ignore_merges?: boolean;
}

/** `tokenizer_config.json`. */
export type TokenizerSettings = Readonly<Record<string, unknown>>;

/** The files of a tokenizer. */
export interface TokenizerFiles {
  readonly file: TokenizerFile;
  readonly settings: TokenizerSettings;
}

/**
 * @throws {DecoderError} `malformed-checkpoint` for files that are missing or not what their names say, `unsupported-model`
 * for other kinds of tokenizers than BPE.
 */
export async function readTokenizerFiles(source: FolderSource): Promise<TokenizerFiles> {
  const definition = await source.readText("tokenizer.json");
  if (definition === undefined) {
    throw new DecoderError(
      "malformed-checkpoint",
      `${source.name} has no tokenizer.json, and a GGUF file holds the vocabulary; add it (save_pretrained of a fast tokenizer of transformers writes it), or write format onnx`,
    );
  }
  const file = parseObject(definition, "tokenizer.json") as unknown as TokenizerFile;
  const { model } = file;
  const isBpe =
    typeof model === "object" && model !== null && isObject(model.vocab) && Array.isArray(model.merges);
  if (!isBpe) {
    throw new DecoderError(
      "unsupported-model",
      `tokenizer.json: expected a BPE model with vocab and merges for gguf, found ${showValue(model?.type)}; write format onnx`,
    );
  }
  const settings = (await source.readText("tokenizer_config.json")) ?? "{}";
  return { file, settings: parseObject(settings, "tokenizer_config.json") };
}

function parseObject(json: string, name: string): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (cause) {
    throw new DecoderError("malformed-checkpoint", `${name} is not JSON; take it from the original model`, {
      cause,
    });
  }
  if (isObject(parsed)) return parsed;
  throw new DecoderError(
    "malformed-checkpoint",
    `${name}: expected an object; take it from the original model`,
  );
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The parts of a component: those of a sequence, or itself. */
export function componentParts(component: Component | null | undefined): readonly Component[] {
  if (component === null || component === undefined) return [];
  if (component.type !== "Sequence") return [component];
  const parts = component.normalizers ?? component.pretokenizers ?? component.processors;
  return Array.isArray(parts) ? (parts as readonly Component[]) : [];
}

/** The pairs of the merges, in their order. */
export const mergePairs = ({ merges }: TokenizerModel): readonly (readonly [string, string])[] =>
  merges.map((merge) => {
    if (typeof merge !== "string") return merge;
    const space = merge.indexOf(" ");
    return [merge.slice(0, space), merge.slice(space + 1)];
  });

export const refuseTokenizer = (found: string): DecoderError =>
  new DecoderError(
    "unsupported-model",
    `tokenizer.json: ${found}, which llama.cpp's tokenizers do not do; write format onnx`,
  );
