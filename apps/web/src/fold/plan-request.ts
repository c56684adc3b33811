import { type FoldPlan, planFold } from "@kvfold/converter";
import type { ModelConfig } from "@kvfold/decoder";
import type { FoldRequest } from "./fold-request.js";

/** Tokens of a calibration window: as many as are asked for, within the model's context. */
export const windowLength = (
  { calibration }: Pick<FoldRequest, "calibration">,
  { shape }: Pick<ModelConfig, "shape">,
): number | undefined => calibration && Math.min(calibration.length, shape.maxPositions);

/** What a fold of the page will do. Bases that depend on positions are chosen for the whole context, beyond the windows. */
export function planRequest(request: FoldRequest, config: ModelConfig): FoldPlan {
  const { keep, method } = request;
  const window = windowLength(request, config);
  // Beside the graph for policies, one whose cache is in int8. The original is not run under policies.
  const cacheBits = keep === "1" ? undefined : ([8] as const);
  return planFold(config, { keep, method, formats: ["onnx"], window, cacheBits });
}
