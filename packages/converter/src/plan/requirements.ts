import { ggufObstacle, type ModelConfig } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import { DEFAULT_METHOD, methods } from "../methods/index.js";
import type { Method } from "../methods/method.js";
import { none } from "../methods/none.js";
import { UNIFORM } from "./budget-name.js";
import type { Format, LayerPlan } from "./fold-plan.js";
import { layerShape } from "./layer-shape.js";
import { withArticle } from "./with-article.js";

/**
 * Rejects budgets that give layers different ranks where these must fold alike.
 *
 * @throws {ConverterError} `invalid-option`.
 */
export function requireFreeRanks(budget: string, method: Method, formats: readonly Format[]): void {
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `budget ${budget}: ${reason}; use budget ${UNIFORM}`, {
      option: "budget",
    });
  };
  const plain = formats.find(isPlainFormat);
  if (plain !== undefined) refuse(`${nameFormat(plain)} states one number of KV heads for all layers`);
  if (method.standardShape) refuse(`method ${method.name} keeps whole heads, the same number in every layer`);
}

/** A format that holds plain grouped-query attention and nothing else. */
export type PlainFormat = Exclude<Format, "onnx">;

export const isPlainFormat = (format: Format): format is PlainFormat => format !== "onnx";

/** A format as messages name it. */
export const nameFormat = (format: PlainFormat): string =>
  format === "hf" ? "a Hugging Face checkpoint (format hf)" : "a GGUF file (format gguf)";

/**
 * Rejects folds that a format cannot represent.
 *
 * @throws {ConverterError} `invalid-option`.
 */
export function requireFormats(
  config: ModelConfig,
  method: Method,
  { formats, maxPositions }: { readonly formats: readonly Format[]; readonly maxPositions: number },
): void {
  for (const format of formats.filter(isPlainFormat)) {
    const obstacle =
      format === "gguf" ? llamaCppObstacle(config, maxPositions) : checkpointObstacle(config, method);
    requirePlainGqa(config, method, format, obstacle);
  }
}

function checkpointObstacle({ family, standard }: ModelConfig, method: Method): string | undefined {
  if (method === none || standard.kvHeads !== undefined) return undefined;
  return `${withArticle(family.name)} checkpoint has no field for fewer KV heads`;
}

function llamaCppObstacle(config: ModelConfig, maxPositions: number): string | undefined {
  const obstacle = ggufObstacle(config, maxPositions);
  return obstacle && `llama.cpp has no plain decoder for this model (${obstacle})`;
}

function requirePlainGqa(
  { blocks }: ModelConfig,
  method: Method,
  format: PlainFormat,
  obstacle: string | undefined,
): void {
  const able = methods.filter(({ standardShape }) => standardShape).map(({ name }) => name);
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `formats ${format}: ${reason}; format onnx can hold it`, {
      option: "formats",
    });
  };
  if (obstacle !== undefined) refuse(obstacle);
  if (!method.standardShape) {
    refuse(
      `method ${method.name} ${describeExtras(method)}, which plain GQA code does not have (methods without them: ${able.join(", ")})`,
    );
  }
  if (method !== none && blocks.some(({ attention }) => attention.headNorm !== undefined))
    refuse(
      `method ${method.name} leaves products after the norms of queries and keys, which plain code does not have`,
    );
}

/** What a folded layer has beside plain attention. */
const describeExtras = ({ joint, keysBeforeRope }: Method): string =>
  joint === undefined
    ? `leaves products ${keysBeforeRope ? "before" : "after"} the rotation`
    : "keeps keys and values in one latent";

/**
 * Rejects methods that mix heads within frequencies where only a part of a head turns.
 *
 * @throws {ConverterError} `invalid-option`.
 */
export function requireRotation({ blocks }: ModelConfig, method: Method): void {
  const index = blocks.findIndex(
    ({ attention: { rope, headDim } }) => rope !== undefined && rope.rotaryDim < headDim,
  );
  if (!method.wholeRotation || index < 0) return;
  const { rope, headDim } = blocks[index]!.attention;
  throw new ConverterError(
    "invalid-option",
    `method ${method.name}: it needs heads that turn as a whole, but of those of layer ${index} only ${rope!.rotaryDim} of ${headDim} numbers do; use method ${DEFAULT_METHOD}`,
    { option: "method" },
  );
}

/** Whether every layer has the shape of plain grouped-query attention: fewer heads of the size they had. */
export const isPlainGqa = (config: ModelConfig, layers: readonly LayerPlan[]): boolean =>
  layers.every(({ keys, values }, index) => {
    const { headDim } = layerShape(config, index);
    return keys.rank === headDim && values.rank === headDim;
  });
