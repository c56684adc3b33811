import { z } from "zod";
import { DecoderError } from "../decoder-error.js";
import type { Activation, ConfigField, Family } from "../families/family.js";
import { families } from "../families/index.js";
import type { ModelShape } from "../model/model-shape.js";

/** A Hugging Face `config.json`, read and understood. */
export interface ModelConfig {
  /** The file's own fields; they go into the output unchanged but for the KV shape. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly family: Family;
  readonly shape: ModelShape;
  readonly activation: Activation;
}

const configSchema = z.looseObject({
  model_type: z.string(),
  vocab_size: z.int().positive(),
  tie_word_embeddings: z.boolean().optional(),
  quantization_config: z.undefined().optional(),
});

/** Context length assumed where a config names none (ALiBi families need no table, only a number to report). */
const DEFAULT_MAX_POSITIONS = 2048;

/**
 * Reads the text of a Hugging Face `config.json`.
 *
 * @throws {DecoderError} `malformed-checkpoint` for a broken file, `unsupported-model` for a family or an option
 * that kvfold cannot fold.
 */
export function readConfig(text: string): ModelConfig {
  const fields = parseFields(text);
  const family = families.find(({ modelType }) => modelType === fields.model_type);
  if (family === undefined) {
    const known = families.map(({ modelType }) => modelType).join(", ");
    throw new DecoderError(
      "unsupported-model",
      `config.json: model_type ${JSON.stringify(fields.model_type)} is not supported; kvfold folds ${known}`,
    );
  }
  const reason = family.unsupported?.(fields);
  if (reason !== undefined)
    throw new DecoderError("unsupported-model", `config.json: ${family.name} with ${reason}`);
  return { fields, family, shape: readShape(fields, family), activation: readActivation(fields, family) };
}

function parseFields(text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new DecoderError("malformed-checkpoint", `config.json is not JSON (${String(cause)})`, { cause });
  }
  if (typeof json === "object" && json !== null && "quantization_config" in json) {
    throw new DecoderError(
      "unsupported-model",
      "config.json: quantised checkpoints are not supported; fold the float checkpoint and quantise the result",
    );
  }
  const parsed = configSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new DecoderError("malformed-checkpoint", `config.json: ${z.prettifyError(parsed.error)}`);
}

function readShape(fields: Readonly<Record<string, unknown>>, family: Family): ModelShape {
  const { config } = family;
  const count = (field: ConfigField | undefined, fallback?: number): number =>
    readNumber(
      fields,
      field,
      fallback,
      (value) => Number.isSafeInteger(value) && value > 0,
      "a positive integer",
    );
  const hiddenSize = count(config.hiddenSize);
  const heads = count(config.heads);
  const kvHeads = count(config.kvHeads, heads);
  const namesHeadDim = config.headDim?.some((field) => typeof fields[field] === "number") ?? false;
  if (!namesHeadDim) checkDivides(heads, "heads", hiddenSize, "a hidden size");
  checkDivides(kvHeads, "KV heads", heads, "a query head count");
  const headDim = count(config.headDim, hiddenSize / heads);
  return {
    hiddenSize,
    heads,
    kvHeads,
    headDim,
    layers: count(config.layers),
    intermediateSize: count(config.intermediateSize, 4 * hiddenSize),
    vocabSize: count(["vocab_size"]),
    maxPositions: count(config.maxPositions, DEFAULT_MAX_POSITIONS),
    normEpsilon: readNumber(fields, config.normEpsilon, 1e-5, (value) => value >= 0, "a number of 0 or more"),
    tiedEmbeddings: (fields.tie_word_embeddings as boolean | undefined) ?? family.tiedByDefault,
    slidingWindow: family.slidingWindow?.(fields),
  };
}

function checkDivides(parts: number, partNames: string, whole: number, wholeName: string): void {
  if (whole % parts === 0) return;
  throw new DecoderError(
    "malformed-checkpoint",
    `config.json: ${parts} ${partNames} do not divide ${wholeName} of ${whole}; is it the config of these weights?`,
  );
}

function readNumber(
  fields: Readonly<Record<string, unknown>>,
  names: ConfigField | undefined,
  fallback: number | undefined,
  accept: (value: number) => boolean,
  expected: string,
): number {
  const name = names?.find((candidate) => fields[candidate] !== undefined && fields[candidate] !== null);
  const value = name === undefined ? fallback : fields[name];
  if (typeof value === "number" && accept(value)) return value;
  const label = name ?? names?.join(" or ") ?? "a derived size";
  throw new DecoderError(
    "malformed-checkpoint",
    `config.json: ${label} must be ${expected}, found ${JSON.stringify(value)}`,
  );
}

const activationAliases: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_new: "gelu_pytorch_tanh",
  gelu_pytorch_tanh: "gelu_pytorch_tanh",
};

function readActivation(fields: Readonly<Record<string, unknown>>, family: Family): Activation {
  const name = family.config.activation?.map((field) => fields[field]).find((value) => value !== undefined);
  if (name === undefined) return family.activation;
  if (typeof name === "string" && Object.hasOwn(activationAliases, name)) return activationAliases[name]!;
  throw new DecoderError(
    "unsupported-model",
    `config.json: activation ${JSON.stringify(name)} is not supported; known are ${Object.keys(activationAliases).join(", ")}`,
  );
}
