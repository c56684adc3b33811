import type { ListFileEntry } from "@huggingface/hub";
import { CARD_FILE, LICENSE_FILES } from "@kvfold/converter/internals";
import { CliError } from "../cli-error.js";
import type { Repository } from "./repository.js";

/** A file of a repository that kvfold needs. */
export interface HubFile {
  /** A plain name, without folders. */
  readonly name: string;
  readonly byteLength: number;
  /** In hexadecimal digits, where the Hub keeps it: for large files. */
  readonly sha256: string | undefined;
}

export const CONFIG = "config.json";
export const SHARD_INDEX = "model.safetensors.index.json";
const SINGLE_FILE = "model.safetensors";

/** What a checkpoint has besides its weights. */
const SMALL_FILES = [
  CONFIG,
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "vocab.json",
  "merges.txt",
  // What says how the model may be used, for its folds.
  CARD_FILE,
  ...LICENSE_FILES,
];

/** The files of a repository's main folder by name. */
export type Listing = ReadonlyMap<string, HubFile>;

/** A listing of what the Hub says is there. */
export const listingOf = (entries: readonly ListFileEntry[]): Listing =>
  new Map(
    entries
      .filter(({ type }) => type === "file")
      .map(({ path, size, lfs }) => [
        path,
        { name: path, byteLength: lfs?.size ?? size, sha256: lfs?.oid.replace(/^sha256:/, "") },
      ]),
  );

/**
 * The files that say how to read the weights, those with which everything else begins.
 *
 * @throws {CliError} `unsupported-model` for a repository without `config.json` or without safetensors.
 */
export function smallFiles(listing: Listing, { name }: Repository): readonly HubFile[] {
  const refuse = (reason: string) =>
    new CliError("unsupported-model", `${name} ${reason}; name the checkpoint that it was made from`);
  if (!listing.has(CONFIG)) throw refuse("has no config.json, so it is not a checkpoint");
  if (!listing.has(SINGLE_FILE) && !listing.has(SHARD_INDEX)) {
    throw refuse(
      `has no weights in safetensors (${describeWeights(listing)}), which is all that kvfold reads`,
    );
  }
  return [...SMALL_FILES, SHARD_INDEX].flatMap((file) => listing.get(file) ?? []);
}

/**
 * The files that hold the weights: the shards that an index names, or the one file.
 *
 * @throws {CliError} `malformed-file` when a shard is missing.
 */
export function weightFiles(
  listing: Listing,
  shards: Iterable<string> | undefined,
  { name }: Repository,
): readonly HubFile[] {
  return [...new Set(shards ?? [SINGLE_FILE])].map((file) => {
    const found = listing.get(file);
    if (found !== undefined) return found;
    throw new CliError("malformed-file", `${name}: ${SHARD_INDEX} names ${file}, which is not there`);
  });
}

/** Other kinds of weights that the repository has. */
function describeWeights(listing: Listing): string {
  const found = [...listing.keys()].filter((file) => /\.(bin|gguf|pth?|onnx|h5|msgpack|npz)$/.test(file));
  return found.length === 0 ? "there is no file of weights" : `there is ${found.slice(0, 3).join(", ")}`;
}
