import { describe, membersOf, parseJsonObject } from "./internal/parse-json-object.js";
import { SafetensorsError } from "./safetensors-error.js";

/**
 * Reads the text of a `model.safetensors.index.json`: which shard holds each tensor, as a map from tensor name to file name.
 *
 * Shard names are used to open files, so they must be plain names ending in `.safetensors`, without folders.
 * Of a name that is repeated the last shard counts, as in other readers: a wrong one is found out by the shard's header.
 *
 * @throws {SafetensorsError} `malformed` when it is no such index.
 * @example
 * ```ts
 * import { parseShardIndex } from "@kvfold/safetensors";
 * const index = parseShardIndex('{"weight_map": {"w": "model-00001-of-00002.safetensors"}}');
 * index.get("w") // => "model-00001-of-00002.safetensors"
 * ```
 */
export function parseShardIndex(json: string): ReadonlyMap<string, string> {
  const weightMap = parseJsonObject("shard index", json).get("weight_map");
  const members = membersOf(weightMap);
  if (members === undefined) {
    throw new SafetensorsError(
      "malformed",
      `shard index: expected weight_map to be an object, found ${describe(weightMap)}`,
    );
  }
  return new Map([...members].map(([tensor, shard]) => [tensor, requireShardName(tensor, shard)]));
}

/** No separators of any platform, no drive or stream (`:`), no control characters, and nothing that begins with a dot. */
const plainName = /^[^./\\:\p{Cc}][^/\\:\p{Cc}]*\.safetensors$/u;

/** Names of files are no longer than this, in bytes or UTF-16 units, on the disks that there are. */
const MAX_NAME_LENGTH = 255;

function requireShardName(tensor: string, shard: unknown): string {
  if (typeof shard === "string" && shard.length <= MAX_NAME_LENGTH && plainName.test(shard)) return shard;
  throw new SafetensorsError(
    "malformed",
    `shard index: expected ${describe(tensor)} to lie in a plain file name ending in .safetensors, found ${describe(shard)}`,
  );
}
