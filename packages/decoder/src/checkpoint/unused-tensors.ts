import { DecoderError } from "../decoder-error.js";
import type { ModelConfig } from "../families/read-config.js";
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
  stored: Iterable<string>,
): readonly string[] {
  const known = tensorNames(config);
  const unused = [...stored].filter((name) => !isKnown(name, known, config));
  const unread = unused.filter((name) => isInLayer(name, known, config) && !name.endsWith(".bias"));
  if (unread.length > 0) {
    throw new DecoderError(
      "unsupported-model",
      `${folder}: ${config.family.name} has no ${listNames(unread)}, but the checkpoint does; is model_type in config.json right?`,
    );
  }
  if (unused.length === 0) return [];
  return [
    `${folder}: the model that config.json describes does not use ${listNames(unused)}; ${unused.length === 1 ? "it is" : "they are"} ignored, as in transformers`,
  ];
}

function isKnown(name: string, known: ReadonlySet<string>, config: ModelConfig): boolean {
  if (config.ignoredTensors?.test(name)) return true;
  return withoutPrefix(name, config).some((candidate) => known.has(candidate));
}

/** Whether some tensor that is read lies in the same numbered layer. */
function isInLayer(name: string, known: ReadonlySet<string>, config: ModelConfig): boolean {
  return withoutPrefix(name, config).some((candidate) => {
    const layer = /^(?:.*?\.)?\d+\./.exec(candidate)?.[0];
    if (layer === undefined) return false;
    for (const other of known) if (other.startsWith(layer)) return true;
    return false;
  });
}

const withoutPrefix = (name: string, { prefixes }: ModelConfig): readonly string[] => [
  name,
  ...prefixes.filter((prefix) => name.startsWith(prefix)).map((prefix) => name.slice(prefix.length)),
];

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 6).join(", ");
  return names.length > 6 ? `${shown} and ${names.length - 6} more` : shown;
}
