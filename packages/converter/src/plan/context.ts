import type { ModelConfig } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import { type Tap, unturnedTaps } from "../graph/taps.js";
import { methods } from "../methods/index.js";
import type { Method } from "../methods/method.js";
import type { FoldPlan, Metric } from "./fold-plan.js";

/** Positions beyond which a spread says no more: all but the slowest pairs have turned many times. */
const MOST_POSITIONS = 32_768;

/**
 * Whether a method's bases depend on the positions of the text that they are chosen on: it folds keys after their rotation.
 * Not where a norm follows the rotation: such keys are not merely turned.
 */
const dependsOnPositions = (
  { taps, joint, keysBeforeRope = false }: Method,
  { blocks }: Pick<ModelConfig, "blocks">,
): boolean =>
  taps.includes("keys") &&
  joint === undefined &&
  !keysBeforeRope &&
  blocks.some(({ attention }) => attention.rope !== undefined) &&
  blocks.every(({ attention }) => attention.headNorm !== "after-rotation");

/** What is known of the positions of a fold. */
export interface ContextRequest {
  readonly context?: number | undefined;
  readonly window?: number | undefined;
  readonly maxPositions?: number | undefined;
}

/**
 * What a plan measures, and the positions that it is spread over.
 *
 * @throws {ConverterError} `invalid-option` for a context that is not a number of tokens, or that the method does not use.
 */
export function planContext(
  request: ContextRequest & { readonly metric?: Metric | undefined },
  method: Method,
  config: Pick<ModelConfig, "blocks" | "shape">,
): Pick<FoldPlan, "taps" | "context"> {
  if (request.context !== undefined) requireContext(request.context, method, config);
  const context = request.context ?? defaultContext(request, method, config);
  const wanted = request.metric === "loss" ? requireLossTaps(method) : method.taps;
  if (context === undefined) return { taps: wanted };
  return { taps: [...new Set(wanted.map((tap) => unturnedTaps[tap] ?? tap))], context };
}

/** What a method measures to weigh errors by the loss. */
function requireLossTaps({ name, lossTaps }: Method): readonly Tap[] {
  if (lossTaps !== undefined) return lossTaps;
  const able = methods.filter((method) => method.lossTaps !== undefined).map((method) => method.name);
  throw new ConverterError(
    "invalid-option",
    `metric loss: method ${name} does not weigh errors; leave it out, or choose one of ${able.join(", ")}`,
    { option: "metric" },
  );
}

/** The context of the model, where calibration windows do not reach that far. */
function defaultContext(
  { window, maxPositions }: ContextRequest,
  method: Method,
  config: Pick<ModelConfig, "blocks" | "shape">,
): number | undefined {
  const context = Math.min(maxPositions ?? config.shape.maxPositions, MOST_POSITIONS);
  return window !== undefined && context > window && dependsOnPositions(method, config) ? context : undefined;
}

function requireContext(context: number, method: Method, config: Pick<ModelConfig, "blocks">): void {
  const refuse = (reason: string) => {
    throw new ConverterError("invalid-option", `context ${context}: ${reason}`, { option: "context" });
  };
  if (!(Number.isSafeInteger(context) && context > 0)) refuse("expected a number of tokens");
  if (!dependsOnPositions(method, config))
    refuse(`bases of method ${method.name} do not depend on positions in this model; leave it out`);
}
