import { baseModel, modelNames } from "../base-models.js";
import type { Choices } from "../choices.js";
import { EMPTY_FOLDER, type FuzzCase, type FuzzFile } from "../fuzz-case.js";
import { HOSTILE_VALUES } from "../hostile-values.js";
import { joined } from "../mutate-bytes.js";
import { jsonPaths, mutateText, pickReplacement, replaceInJson } from "../mutate-json.js";
import { joinSafetensors, splitSafetensors, type TensorEntry } from "../safetensors-file.js";
import { mutateSafetensors } from "./safetensors-cases.js";

const INDEX = "model.safetensors.index.json";
const SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;

interface Sharded {
  readonly files: Map<string, FuzzFile>;
  readonly index: { metadata: Record<string, unknown>; weight_map: Record<string, string> };
}

/** A tiny checkpoint in two shards, with a broken index or a broken shard. */
export function shardIndexCase(choices: Choices): FuzzCase {
  const name = choices.pick(modelNames);
  const { files, index } = splitIntoShards(name);
  const [mutation, change] = choices.pick(MUTATIONS);
  files.set(INDEX, JSON.stringify(index));
  change({ files, index }, choices);
  return { attempt: "checkpoint", files, mutation: `shards of ${name}: ${mutation}` };
}

type Mutate = (sharded: Sharded, choices: Choices) => void;

const SHARD_NAMES = [
  "../model.safetensors",
  "/etc/passwd",
  "/x.safetensors",
  "a/b.safetensors",
  "a\\b.safetensors",
  "C:x.safetensors",
  ".safetensors",
  "..safetensors",
  "config.json",
  INDEX,
  "x.safetensors\u0000",
  "\u001b[2J.safetensors",
  " .safetensors",
  "missing.safetensors",
  `${"n".repeat(300)}.safetensors`,
  "folder.safetensors",
  "model.safetensors",
  SHARDS[0],
  SHARDS[1],
];

const onIndex =
  (change: (index: Sharded["index"], choices: Choices) => string): Mutate =>
  ({ files, index }, choices) =>
    void files.set(INDEX, change(index, choices));

const renameShards = onIndex((index, { pick, chance }) => {
  const share = pick([0.05, 0.5, 1]);
  const renamed = Object.entries(index.weight_map).map(([tensor, shard]) => [
    tensor,
    chance(share) ? pick(SHARD_NAMES) : shard,
  ]);
  return JSON.stringify({ ...index, weight_map: Object.fromEntries(renamed) as Record<string, string> });
});

const changeValues = onIndex((index, choices) => {
  const changes = Array.from({ length: 1 + choices.int(2) }, () => {
    const path = choices.chance(0.3) ? ["weight_map"] : choices.pick(jsonPaths(index, 2));
    return [path, pickReplacement(choices)] as const;
  });
  return replaceInJson(index, changes);
});

const addNames = onIndex((index, { pick }) => {
  const count = pick([1, 2, 5000]);
  const added = Array.from({ length: count }, (_, at) => [
    `${pick(["x", "model.layers.7.", "\u001b"])}${at}`,
    pick(SHARDS),
  ]);
  return JSON.stringify({ weight_map: { ...index.weight_map, ...Object.fromEntries(added) } });
});

const manyShards = onIndex((index, { pick }) => {
  const count = pick([100, 3000]);
  const added = Array.from({ length: count }, (_, at) => [`x${at}`, `model-${at}.safetensors`]);
  return JSON.stringify({ weight_map: { ...index.weight_map, ...Object.fromEntries(added) } });
});

const removeNames = onIndex((index, { chance, pick }) => {
  const share = pick([0.05, 0.5, 1]);
  return JSON.stringify({
    weight_map: Object.fromEntries(Object.entries(index.weight_map).filter(() => !chance(share))),
  });
});

const MUTATIONS: readonly (readonly [string, Mutate])[] = [
  ["shard names", renameShards],
  ["shard names", renameShards],
  ["values of the index", changeValues],
  ["values of the index", changeValues],
  ["names that no shard has", addNames],
  ["many shards", manyShards],
  ["names left out", removeNames],
  ["text of the index", onIndex((index, choices) => mutateText(JSON.stringify(index), choices).text)],
  ["only a weight map", onIndex((_, { pick }) => `{"weight_map":${pick(HOSTILE_VALUES)}}`)],
  ["a shard missing", ({ files }, { pick }) => void files.delete(pick(SHARDS))],
  ["a shard that is a folder", ({ files }, { pick }) => void files.set(pick(SHARDS), EMPTY_FOLDER)],
  ["the index is a folder", ({ files }) => void files.set(INDEX, EMPTY_FOLDER)],
  ["one shard for both", ({ files }) => void files.set(SHARDS[1], files.get(SHARDS[0])!)],
  [
    "a broken shard",
    ({ files }, choices) => {
      const shard = choices.pick(SHARDS);
      files.set(shard, mutateSafetensors(files.get(shard) as Uint8Array, choices)[1]);
    },
  ],
  ["an index that is not UTF-8", ({ files }) => void files.set(INDEX, Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d))],
];

/** Every other tensor of a tiny checkpoint in each of two files. */
function splitIntoShards(name: string): Sharded {
  const { fields, weights } = baseModel(name);
  const { entries, data } = splitSafetensors(weights);
  const files = new Map<string, FuzzFile>([["config.json", JSON.stringify(fields)]]);
  const weightMap: Record<string, string> = {};
  for (const [shard, file] of SHARDS.entries()) {
    const own = Object.entries(entries).filter((_, at) => at % SHARDS.length === shard);
    files.set(file, shardOf(own, data));
    for (const [tensor] of own) weightMap[tensor] = file;
  }
  return { files, index: { metadata: { total_size: data.length }, weight_map: weightMap } };
}

function shardOf(own: readonly (readonly [string, TensorEntry])[], data: Uint8Array): Uint8Array {
  const header: Record<string, TensorEntry> = {};
  let at = 0;
  for (const [name, entry] of own) {
    const size = entry.data_offsets[1] - entry.data_offsets[0];
    header[name] = { ...entry, data_offsets: [at, at + size] };
    at += size;
  }
  return joinSafetensors(
    JSON.stringify(header),
    joined(...own.map(([, entry]) => data.subarray(...entry.data_offsets))),
  );
}
