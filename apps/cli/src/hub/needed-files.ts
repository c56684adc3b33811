import { posix } from "node:path";
import type { ListFileEntry } from "@huggingface/hub";
import { CARD_FILE, LICENSE_FILES } from "@kvfold/converter/internals";
import { exportedGraphs } from "@kvfold/decoder";
import { CliError } from "../cli-error.js";
import type { Repository } from "./repository.js";

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

/** The files of a repository that were listed, by their paths. */
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

/** Whether a repository holds weights in safetensors. */
export const hasCheckpoint = (listing: Listing): boolean =>
  listing.has(SINGLE_FILE) || listing.has(SHARD_INDEX);

/**
 * The files that say how to read the weights, those with which everything else begins.
 *
 * @throws {CliError} `unsupported-model` for a repository without `config.json`.
 */
export function smallFiles(listing: Listing, { name }: Repository): readonly HubFile[] {
  if (listing.has(CONFIG)) return [...SMALL_FILES, SHARD_INDEX].flatMap((file) => listing.get(file) ?? []);
  const graph = exportedGraphs.find((file) => listing.has(file));
  throw new CliError(
    "unsupported-model",
    graph === undefined
      ? `${name} has no config.json, so it is not a checkpoint; name the checkpoint that it was made from`
      : `${name} has no config.json, which says what ${graph} computes; download it, and copy config.json of the model that it was made from into its folder`,
  );
}

/**
 * The ONNX graph to fetch from a repository without a checkpoint: the most exact that there is.
 *
 * @throws {CliError} `unsupported-model` where no graph is known either.
 */
export function chooseGraph(listing: Listing, { name }: Repository): string {
  const graph = exportedGraphs.find((file) => listing.has(file));
  if (graph !== undefined) return graph;
  throw new CliError(
    "unsupported-model",
    `${name} has no weights in safetensors and no graph ${exportedGraphs[1]} (${describeWeights(listing)}); name the checkpoint that it was made from${describeGraphs(listing, name)}`,
  );
}

/** Other graphs than those that are chosen can be named. */
function describeGraphs(listing: Listing, name: string): string {
  const graph = [...listing.keys()].find((file) => file.endsWith(".onnx"));
  return graph === undefined ? "" : `, or a graph of it, as ${name}/${graph}`;
}

/**
 * A graph's own file.
 *
 * @throws {CliError} `not-found` when it is not there.
 */
export function graphFile(listing: Listing, graph: string, { name }: Repository): HubFile {
  const found = listing.get(graph);
  if (found !== undefined) return found;
  const others = [...listing.keys()].filter((file) => file.endsWith(".onnx"));
  throw new CliError(
    "not-found",
    `${name} has no graph ${graph}; ${others.length === 0 ? "there is none" : `there is ${others.join(", ")}`}`,
  );
}

/**
 * The files beside a graph that hold its weights.
 *
 * @throws {CliError} `malformed-file` when one is missing.
 */
export const dataFiles = (
  listing: Listing,
  graph: string,
  paths: readonly string[],
  { name }: Repository,
): readonly HubFile[] =>
  paths.map((path) => {
    const file = posix.join(posix.dirname(graph), path);
    const found = listing.get(file);
    if (found !== undefined) return found;
    throw new CliError("malformed-file", `${name}: ${graph} needs ${file}, which is not there`);
  });

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
