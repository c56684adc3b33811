import { createConfigFields, malformed } from "../config/config-fields.js";
import { HARMLESS_FIELDS, isNeutral } from "../config/harmless-fields.js";
import { DecoderError } from "../decoder-error.js";
import type { ModelSpec } from "../model/model-spec.js";
import { listNames, showValue } from "../show-value.js";
import type { Family } from "./family.js";
import { families as ownFamilies } from "./index.js";
import { fieldRefusal, typeRefusal } from "./refusals.js";

/** A Hugging Face `config.json`, read and understood: the decoder that it describes. */
export interface ModelConfig extends ModelSpec {
  /** The file's own fields; they go into the output unchanged but for the KV shape. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly family: Family;
  /** What a user should know of the config: fields that nothing has read. */
  readonly notices: readonly string[];
}

export declare namespace readConfig {
  interface Options {
    /** Families to choose from, the first that fits; kvfold's own (`families`) unless given. */
    readonly families?: readonly Family[];
  }
}

/**
 * Reads the text of a Hugging Face `config.json`. Fields that are absent or null mean what transformers makes of them.
 *
 * @throws {DecoderError} `malformed-checkpoint` for a broken file, `unsupported-model` for a family or an option that
 * cannot be run.
 */
export function readConfig(text: string, { families = ownFamilies }: readConfig.Options = {}): ModelConfig {
  const fields = parseFields(text);
  const config = createConfigFields(fields);
  const modelType = config.text("model_type", "");
  if (modelType === "") throw malformed("model_type", "a text", fields.model_type);
  const family = families.find((candidate) => candidate.modelType === modelType);
  refuseUnsupported(fields, modelType, family, families);
  config.markRead("quantization_config", ...HARMLESS_FIELDS);
  const spec = family!.describe(config);
  checkSize(spec);
  const unread = config.unread().filter((name) => !isNeutral(name, fields[name]));
  return { fields, family: family!, notices: describeUnread(unread), ...spec };
}

/** More tokens than any model sees: tables of positions are as long as this number says. */
const MAX_POSITIONS = 2 ** 27;

function checkSize({ shape }: ModelSpec): void {
  if (shape.maxPositions > MAX_POSITIONS)
    throw malformed("the context length", `at most ${MAX_POSITIONS} tokens`, shape.maxPositions);
}

function describeUnread(names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  return [
    `config.json: kvfold does not know ${listNames(names, 12)}; if one of them changes what the model computes, its results will differ`,
  ];
}

function parseFields(text: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new DecoderError("malformed-checkpoint", `config.json is not JSON (${String(cause)})`, { cause });
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>;
  throw new DecoderError("malformed-checkpoint", "config.json: expected an object");
}

const describeUnknown = (modelType: string, families: readonly Family[]): string =>
  `model_type ${showValue(modelType)} is not supported; kvfold reads ${families.map((family) => family.modelType).join(", ")}`;

function refuseUnsupported(
  fields: Readonly<Record<string, unknown>>,
  modelType: string,
  family: Family | undefined,
  families: readonly Family[],
): void {
  const reason =
    (family === undefined ? typeRefusal(modelType) : undefined) ??
    fieldRefusal(fields) ??
    (family === undefined ? describeUnknown(modelType, families) : undefined);
  if (reason !== undefined) throw new DecoderError("unsupported-model", `config.json: ${reason}`);
}
