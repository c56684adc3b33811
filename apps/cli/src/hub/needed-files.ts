import {
  CONFIG,
  type HubFile,
  hasCheckpoint,
  type Listing,
  SHARD_INDEX,
  SMALL_FILES,
} from "@kvfold/converter/internals";
import { CliError } from "../cli-error.js";
import type { Repository } from "./repository.js";

/**
 * The files that say how to read the weights, those with which everything else begins.
 *
 * @throws {CliError} `unsupported-model` for a repository without `config.json` or without safetensors.
 */
export function smallFiles(listing: Listing, { name }: Repository): readonly HubFile[] {
  const refuse = (reason: string) =>
    new CliError("unsupported-model", `${name} ${reason}; name the checkpoint that it was made from`);
  if (!listing.has(CONFIG)) throw refuse("has no config.json, so it is not a checkpoint");
  if (!hasCheckpoint(listing)) {
    throw refuse(
      `has no weights in safetensors (${describeWeights(listing)}), which is all that kvfold reads`,
    );
  }
  return [...SMALL_FILES, SHARD_INDEX].flatMap((file) => listing.get(file) ?? []);
}

/** Other kinds of weights that the repository has. */
function describeWeights(listing: Listing): string {
  const found = [...listing.keys()].filter((file) => /\.(bin|gguf|pth?|onnx|h5|msgpack|npz)$/.test(file));
  return found.length === 0 ? "there is no file of weights" : `there is ${found.slice(0, 3).join(", ")}`;
}
