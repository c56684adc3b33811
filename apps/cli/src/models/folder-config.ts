import { join } from "node:path";
import { CliError } from "../cli-error.js";
import { RECORD_FILE } from "../files/output-folder.js";
import { readJsonObject } from "../files/read-json-object.js";

/** What the JSON files of a model folder say about running it, whatever its family. */
export interface FolderConfig {
  readonly modelType: string | undefined;
  readonly vocabSize: number | undefined;
  /** Query heads. */
  readonly heads: number | undefined;
  readonly bosToken: number | undefined;
  /** Tokens that end a text: those of `generation_config.json` and of `config.json`. */
  readonly eosTokens: readonly number[];
  /** Longest context in tokens; `undefined` where nothing limits it. */
  readonly maxPositions: number | undefined;
  /** What `kvfold.json` holds, for folders that kvfold wrote. */
  readonly record: Fields | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

/** Where configs of different families keep the number of query heads. */
const HEAD_FIELDS = ["num_attention_heads", "n_head"];
/** Where configs of different families keep the context length. */
const CONTEXT_FIELDS = ["max_position_embeddings", "n_positions", "seq_length"];

/**
 * Reads `config.json`, and `generation_config.json` and `kvfold.json` where they exist.
 *
 * @throws {CliError} `unreadable-file` when there is no config.json, `malformed-file` when one of them is not JSON.
 */
export async function readFolderConfig(folder: string): Promise<FolderConfig> {
  const config = await readJsonObject(join(folder, "config.json"));
  if (config === undefined) {
    throw new CliError(
      "unreadable-file",
      `${folder} has no config.json; name a Hugging Face checkpoint or a folder that kvfold wrote`,
    );
  }
  const generation = await readJsonObject(join(folder, "generation_config.json"));
  const record = await readJsonObject(join(folder, RECORD_FILE));
  const plan = record?.plan as Fields | undefined;
  return {
    modelType: typeof config.model_type === "string" ? config.model_type : undefined,
    vocabSize: firstCount([config.vocab_size]),
    heads: firstCount(HEAD_FIELDS.map((field) => config[field])),
    bosToken: firstCount([config.bos_token_id]),
    eosTokens: tokenList([generation?.eos_token_id, config.eos_token_id]),
    maxPositions: firstCount([plan?.maxPositions, ...CONTEXT_FIELDS.map((field) => config[field])]),
    record,
  };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

const firstCount = (values: readonly unknown[]): number | undefined => values.find(isCount);

/** The ids of fields that hold one or a list of them. */
const tokenList = (fields: readonly unknown[]): readonly number[] => [
  ...new Set(fields.flat(2).filter(isCount)),
];
