import { type FoldPlan, findMethod, planFold } from "@kvfold/converter";
import type { ModelConfig } from "@kvfold/decoder";

/** A way to fold: what a goal leaves open besides the share. */
export type FoldChoice = Pick<planFold.Options, "method" | "budget">;

/**
 * For graphs, in order of preference. Without `--chunk 1` and the budget `knapsack`: the one decodes slowest, the other folds
 * every layer at every rank.
 */
const FOR_GRAPHS: readonly FoldChoice[] = [
  { method: "anchored", budget: "power" },
  { method: "anchored", budget: "uniform" },
  { method: "latent", budget: "uniform" },
];

/** For formats that hold plain grouped-query attention: `mean`, which they hold too, loses many times as much. */
const FOR_PLAIN_FORMATS: readonly FoldChoice[] = [{ method: "commuting", budget: "uniform" }];

/**
 * The ways to fold that a goal chooses among: those of the formats, with what is given of method and budget. One that the
 * options or the model rule out is not among them.
 *
 * @throws {ConverterError} as `planFold`, where no way is left.
 */
export function foldChoices(
  config: ModelConfig,
  options: Omit<planFold.Options, "keep">,
): readonly FoldChoice[] {
  const choices = givenChoices(options);
  if (choices.length === 1) return choices;
  const able = choices.filter((choice) => isPossible(config, { ...options, ...choice }));
  if (able.length === 0) planHalf(config, { ...options, ...choices[0] });
  return able;
}

function givenChoices({
  method,
  budget,
  formats = ["onnx"],
}: FoldChoice & Pick<planFold.Options, "formats">) {
  if (typeof method === "object" || typeof budget === "object") return [{ method, budget }];
  const usual = formats.every((format) => format === "onnx") ? FOR_GRAPHS : FOR_PLAIN_FORMATS;
  const ofMethod = method === undefined ? usual : usual.filter((choice) => choice.method === method);
  if (ofMethod.length === 0) return [{ method, budget }];
  if (budget === undefined) return ofMethod;
  const methods = [...new Set(ofMethod.map((choice) => choice.method))];
  return methods.map((name) => ({ method: name, budget }));
}

function isPossible(config: ModelConfig, options: Omit<planFold.Options, "keep">): boolean {
  try {
    const { method, budget } = planHalf(config, options);
    return budget !== "power" || findMethod(method).savings !== undefined;
  } catch {
    return false;
  }
}

/** Every method can keep a half. */
const planHalf = (config: ModelConfig, options: Omit<planFold.Options, "keep">): FoldPlan =>
  planFold(config, { ...options, keep: "1/2" });
