/** The tiny Llama of testdata: it always says " b", and its tokenizer is like that of Llama 2. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { temporaryFolder } from "./support.js";

type Fields = Readonly<Record<string, unknown>>;

const data = (file: string): string =>
  fileURLToPath(new URL(`../testdata/tiny-llama/${file}`, import.meta.url));

const readData = async (file: string): Promise<Fields> =>
  JSON.parse(await readFile(data(file), "utf8")) as Fields;

/** A token that the tokenizer knows and the model does not: its embedding has 64 rows. */
export const PAD: Fields = {
  id: 64,
  content: "<pad>",
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
};

/** What `tokenizer.json` of models says that begin every text with `<s>`. */
export const ADDS_BOS: Fields = {
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
};

/** What a copy of the model has otherwise. */
export interface Changes {
  readonly config?: Fields;
  readonly tokenizer?: Fields;
  readonly addedTokens?: readonly Fields[];
  readonly settings?: Fields;
  /** Further files, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A folder with a copy of the model that is gone after the test. */
export async function tinyLlama(changes: Changes = {}): Promise<string> {
  const folder = await temporaryFolder();
  await writeTinyLlama(folder, changes);
  return folder;
}

/** Writes a copy of the model to a folder. */
export async function writeTinyLlama(folder: string, changes: Changes = {}): Promise<void> {
  const config = { ...(await readData("config.json")), ...changes.config };
  const settings = { ...(await readData("tokenizer_config.json")), ...changes.settings };
  const files = {
    "model.safetensors": gunzipSync(await readFile(data("model.safetensors.gz"))),
    "config.json": JSON.stringify(config),
    "tokenizer.json": JSON.stringify(await changedTokenizer(changes)),
    "tokenizer_config.json": JSON.stringify(settings),
    ...changes.files,
  };
  for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), content);
}

/** The fields of its `tokenizer.json`. */
export async function changedTokenizer({ tokenizer, addedTokens = [] }: Changes): Promise<Fields> {
  const original = await readData("tokenizer.json");
  const added = [...(original.added_tokens as readonly Fields[]), ...addedTokens];
  return { ...original, added_tokens: added, ...tokenizer };
}
