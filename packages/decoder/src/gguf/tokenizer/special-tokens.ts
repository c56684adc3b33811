import type { ModelConfig } from "../../families/read-config.js";
import { flag, type Metadata, type MetadataValue, uint32 } from "../metadata.js";
import { type Component, componentParts, type TokenizerFiles } from "./tokenizer-file.js";

type Fields = Readonly<Record<string, unknown>>;

/** Ids of special tokens, and which of them stand at the ends of every text. */
export function specialTokenMetadata(files: TokenizerFiles, { fields, shape }: ModelConfig): Metadata {
  const { settings } = files;
  const { first, last } = addedAround(files);
  const bos = first ?? tokenId(files, "bos_token", fields.bos_token_id);
  const eos = last ?? tokenId(files, "eos_token", fields.eos_token_id);
  const ids = {
    bos_token_id: bos,
    eos_token_id: eos,
    unknown_token_id: tokenId(files, "unk_token", undefined),
    padding_token_id: tokenId(files, "pad_token", fields.pad_token_id),
  };
  const stated = Object.entries(ids).flatMap(([key, id]): [string, MetadataValue][] =>
    id === undefined || id >= shape.vocabSize ? [] : [[`tokenizer.ggml.${key}`, uint32(id)]],
  );
  return {
    ...Object.fromEntries(stated),
    "tokenizer.ggml.add_bos_token": flag(addsBos(settings, bos, first)),
    "tokenizer.ggml.add_eos_token": flag(settings.add_eos_token !== false && last !== undefined),
  };
}

/** The setting `add_bos_token` rules; without it the post-processor says. */
const addsBos = ({ add_bos_token }: Fields, bos: number | undefined, first: number | undefined): boolean =>
  bos !== undefined && add_bos_token !== false && (first !== undefined || add_bos_token === true);

/** Tokens that the post-processor puts around a single text. */
function addedAround({ file }: TokenizerFiles): {
  readonly first?: number | undefined;
  readonly last?: number | undefined;
} {
  const template = componentParts(file.post_processor).find(({ type }) => type === "TemplateProcessing");
  const single = template?.single;
  if (!Array.isArray(single)) return {};
  const idOf = (item: unknown) => specialId(template!, item);
  const text = single.findIndex((item) => typeof item === "object" && item !== null && "Sequence" in item);
  return {
    first: text > 0 ? idOf(single[0]) : undefined,
    last: text >= 0 && text < single.length - 1 ? idOf(single.at(-1)) : undefined,
  };
}

/** The id of a special token in a template. */
function specialId({ special_tokens }: Component, item: unknown): number | undefined {
  const name = (item as { readonly SpecialToken?: { readonly id?: unknown } } | null)?.SpecialToken?.id;
  const entry = (special_tokens as Fields | undefined)?.[String(name)];
  const [id] = ((entry as { readonly ids?: readonly unknown[] } | undefined)?.ids ??
    []) as readonly unknown[];
  return typeof id === "number" ? id : undefined;
}

/** A special token by its name in `tokenizer_config.json`, or else by the id in `config.json`, the first of several. */
function tokenId({ file, settings }: TokenizerFiles, name: string, fallback: unknown): number | undefined {
  const text = tokenText(settings[name]);
  const named =
    text === undefined
      ? undefined
      : (file.added_tokens?.find(({ content }) => content === text)?.id ?? file.model.vocab[text]);
  if (named !== undefined) return named;
  const [id] = [fallback].flat();
  return typeof id === "number" ? id : undefined;
}

/** A special token is a text, or an object that describes one. */
export function tokenText(token: unknown): string | undefined {
  const text: unknown =
    typeof token === "object" ? (token as { readonly content?: unknown } | null)?.content : token;
  return typeof text === "string" ? text : undefined;
}
