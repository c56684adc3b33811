import { DecoderError } from "../decoder-error.js";
import type { ModelConfig } from "../families/read-config.js";
import { listNames } from "../show-value.js";
import { tensorNames } from "./tensor-names.js";

/**
 * What a user should know of the tensors that the model does not read, as transformers would warn of them: biases that
 * the config denies, layers beyond its count, other towers.
 *
 * @throws {DecoderError} `unsupported-model` when a layer that is read has weights the family knows nothing of: the
 * model then computes something else than its config says.
 */
export function reviewUnusedTensors(
  folder: string,
  config: ModelConfig,
  stored: ReadonlySet<string>,
): readonly string[] {
  const known = tensorNames(config);
  const used = new Set([...known].map((name) => storedName(name, stored, config)));
  const unused = [...stored].filter((name) => !used.has(name) && !config.ignoredTensors?.test(name));
  const layers = new Set([...known].map(layerOf));
  const isInLayer = (name: string) =>
    withoutPrefix(name, config).some(
      (candidate) => layerOf(candidate) !== "" && layers.has(layerOf(candidate)),
    );
  // A tensor that is stored twice, with and without its prefix, is read once.
  const unread = unused.filter(
    (name) => isInLayer(name) && !name.endsWith(".bias") && !isCopy(name, known, config),
  );
  if (unread.length > 0) {
    throw new DecoderError(
      "unsupported-model",
      `${folder}: ${config.family.name} has no ${listNames(unread, MAX_NAMES)}, but the checkpoint does; is model_type in config.json right?`,
    );
  }
  if (unused.length === 0) return [];
  return [
    `${folder}: the model that config.json describes does not use ${listNames(unused, MAX_NAMES)}; ${unused.length === 1 ? "it is" : "they are"} ignored, as in transformers`,
  ];
}

/** The name that a tensor of the model is stored under: its own, or with the first prefix that fits. */
export const storedName = (
  name: string,
  stored: { has(name: string): boolean },
  { prefixes }: Pick<ModelConfig, "prefixes">,
): string | undefined => ["", ...prefixes].map((prefix) => prefix + name).find((full) => stored.has(full));

const isCopy = (name: string, known: ReadonlySet<string>, config: ModelConfig): boolean =>
  withoutPrefix(name, config).some((candidate) => known.has(candidate));

/** `model.layers.3.` of `model.layers.3.mlp.up_proj.weight`; nothing where a name has no number. */
const layerOf = (name: string): string => /^(?:.*?\.)?\d+\./.exec(name)?.[0] ?? "";

const withoutPrefix = (name: string, { prefixes }: ModelConfig): readonly string[] => [
  name,
  ...prefixes.filter((prefix) => name.startsWith(prefix)).map((prefix) => name.slice(prefix.length)),
];

/** Names that a message shows; others are counted. */
const MAX_NAMES = 6;
