import type { ModelConfig } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import type { Tap } from "../graph/taps.js";
import type { Method } from "../methods/method.js";
import type { FoldPlan } from "./fold-plan.js";

/** Positions beyond which a spread says no more: all but the slowest pairs have turned many times. */
const MOST_POSITIONS = 32_768;

/** What is measured in place of what depends on the positions of the calibration text. */
const UNTURNED: Partial<Record<Tap, Tap>> = { keys: "keysBeforeRope", sensitiveQueries: "queriesAtKeys" };

/**
 * Whether a method's bases depend on the positions of the text that they are chosen on: it folds keys after their rotation.
 * Not where a norm follows the rotation: such keys are no turned keys.
 */
export const dependsOnPositions = (
  { taps, joint, keysBeforeRope = false }: Method,
  { blocks }: Pick<ModelConfig, "blocks">,
): boolean =>
  taps.includes("keys") &&
  joint === undefined &&
  !keysBeforeRope &&
  blocks.some(({ attention }) => attention.rope !== undefined) &&
  blocks.every(({ attention }) => attention.headNorm !== "after-rotation");

/**
 * The positions that moments are spread over unless told otherwise: the context of the model, where windows of `window`
 * tokens do not reach that far. Nothing for methods that do not depend on positions.
 */
export function defaultContext(
  method: Method,
  config: Pick<ModelConfig, "blocks">,
  { window, maxPositions }: { readonly window: number; readonly maxPositions: number },
): number | undefined {
  const context = Math.min(maxPositions, MOST_POSITIONS);
  return context > window && dependsOnPositions(method, config) ? context : undefined;
}

/**
 * What a plan measures, and the positions that it is spread over.
 *
 * @throws {ConverterError} `invalid-option` for a context that is no number of tokens, or that the method has no use for.
 */
export function planContext(
  context: number | undefined,
  method: Method,
  config: Pick<ModelConfig, "blocks">,
): Pick<FoldPlan, "taps" | "context"> {
  if (context === undefined) return { taps: method.taps };
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `context ${context}: ${reason}`, { option: "context" });
  };
  if (!(Number.isSafeInteger(context) && context > 0)) refuse("expected a number of tokens");
  if (!dependsOnPositions(method, config))
    refuse(`method ${method.name} does not depend on positions in this model; leave it out`);
  return { taps: [...new Set(method.taps.map((tap) => UNTURNED[tap] ?? tap))], context };
}
