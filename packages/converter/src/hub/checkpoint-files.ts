import { DecoderError } from "@kvfold/decoder";
import { LICENSE_FILES } from "../output/card-origin.js";
import { CARD_FILE } from "../output/model-card.js";

/** What a Hub says of a file. */
export interface ListedFile {
  readonly type: string;
  readonly path: string;
  readonly size: number;
  readonly lfs?: { readonly size: number; readonly oid: string } | undefined;
}

/** A file of a repository that kvfold needs. */
export interface HubFile {
  /** Its path in the repository. */
  readonly name: string;
  readonly byteLength: number;
  /** In hexadecimal digits, where the Hub keeps it: for large files. */
  readonly sha256: string | undefined;
}

export const CONFIG = "config.json";
export const SHARD_INDEX = "model.safetensors.index.json";
const SINGLE_FILE = "model.safetensors";

/** What a checkpoint has besides its weights. */
export const SMALL_FILES: readonly string[] = [
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

/** The files of a repository that were listed, by their paths. */
export type Listing = ReadonlyMap<string, HubFile>;

/** A listing of what the Hub says is there. */
export const listingOf = (entries: readonly ListedFile[]): Listing =>
  new Map(
    entries
      .filter(({ type }) => type === "file")
      .map(({ path, size, lfs }) => [
        path,
        { name: path, byteLength: lfs?.size ?? size, sha256: lfs?.oid.replace(/^sha256:/, "") },
      ]),
  );

/** Whether a repository holds weights in safetensors. */
export const hasCheckpoint = (listing: Listing): boolean =>
  listing.has(SINGLE_FILE) || listing.has(SHARD_INDEX);

/**
 * The files that hold the weights: the shards that an index names, or the one file.
 *
 * @throws {DecoderError} `malformed-checkpoint` when a shard is missing.
 */
export function weightFiles(
  listing: Listing,
  shards: Iterable<string> | undefined,
  { name }: { readonly name: string },
): readonly HubFile[] {
  return [...new Set(shards ?? [SINGLE_FILE])].map((file) => {
    const found = listing.get(file);
    if (found !== undefined) return found;
    throw new DecoderError(
      "malformed-checkpoint",
      `${name}: ${SHARD_INDEX} names ${file}, which is not there`,
    );
  });
}
