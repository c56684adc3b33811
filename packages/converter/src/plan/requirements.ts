import { type Dtype, floatDtype, type ModelConfig } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import { DEFAULT_METHOD, methods } from "../methods/index.js";
import type { Method } from "../methods/method.js";
import { none } from "../methods/none.js";
import { UNIFORM } from "./budget-name.js";
import type { Format, LayerPlan } from "./fold-plan.js";
import { layerShape } from "./layer-shape.js";

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
  if (formats.includes("hf"))
    refuse("a Hugging Face checkpoint (format hf) states one number of KV heads for all layers");
  if (method.standardShape) refuse(`method ${method.name} keeps whole heads, the same number in every layer`);
}

/**
 * Rejects folds that no Hugging Face checkpoint of the family can represent.
 *
 * @throws {ConverterError} `invalid-option`.
 */
export function requireCheckpointFormat({ family, standard, blocks }: ModelConfig, method: Method): void {
  const able = methods.filter(({ standardShape }) => standardShape).map(({ name }) => name);
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `formats hf: ${reason}; format onnx can hold it`, {
      option: "formats",
    });
  };
  if (method !== none && standard.kvHeads === undefined)
    refuse(`a ${family.name} checkpoint has no field for fewer KV heads`);
  if (!method.standardShape) {
    refuse(
      `method ${method.name} ${describeExtras(method)}, which plain GQA code does not have (${able.join(", ")} do without)`,
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

/**
 * Rejects a checkpoint in four bits.
 *
 * @throws {ConverterError} `invalid-option`.
 */
export function requireFloats(dtypes: readonly Dtype[]): void {
  if (floatDtype(dtypes) !== undefined) return;
  throw new ConverterError(
    "invalid-option",
    `formats hf: a checkpoint holds floats, but dtypes is ${dtypes.join(",")}; add fp32 or fp16 to it`,
    { option: "formats" },
  );
}
