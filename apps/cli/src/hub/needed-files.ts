import {
  CONFIG,
  graphPaths,
  type HubFile,
  knownGraph,
  type Listing,
  SHARD_INDEX,
  SMALL_FILES,
} from "@kvfold/converter/internals";
import { exportedGraphs } from "@kvfold/decoder";
import { CliError } from "../cli-error.js";
import type { Repository } from "./repository.js";

/**
 * The files that say how to read the weights, those with which everything else begins.
 *
 * @throws {CliError} `unsupported-model` for a repository without `config.json`.
 */
export function smallFiles(listing: Listing, { name }: Repository): readonly HubFile[] {
  if (listing.has(CONFIG)) return [...SMALL_FILES, SHARD_INDEX].flatMap((file) => listing.get(file) ?? []);
  const graph = knownGraph(listing);
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
  const graph = knownGraph(listing);
  if (graph !== undefined) return graph;
  throw new CliError(
    "unsupported-model",
    `${name} has no weights in safetensors and no graph ${exportedGraphs[1]} (${describeWeights(listing)}); name the checkpoint that it was made from${describeGraphs(listing, name)}`,
  );
}

/** Other graphs than those that are chosen can be named. */
function describeGraphs(listing: Listing, name: string): string {
  const [graph] = graphPaths(listing);
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
  const others = graphPaths(listing);
  throw new CliError(
    "not-found",
    `${name} has no graph ${graph}; ${others.length === 0 ? "there is none" : `there is ${others.join(", ")}`}`,
  );
}

/** Other kinds of weights that the repository has. */
function describeWeights(listing: Listing): string {
  const found = [...listing.keys()].filter((file) => /\.(bin|gguf|pth?|onnx|h5|msgpack|npz)$/.test(file));
  return found.length === 0 ? "there is no file of weights" : `there is ${found.slice(0, 3).join(", ")}`;
}
