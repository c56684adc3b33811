import type { ModelConfig } from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import type { FoldPlan } from "./fold-plan.js";
import { formatKeep, parseKeep, reduceKeep } from "./keep.js";
import { planFold } from "./plan-fold.js";

/** Shares that are tried: of 64ths. */
const STEPS = 64;

/**
 * The largest share of the cache, in 64ths, with which a token takes no more than so many bytes.
 *
 * @throws {ConverterError} `invalid-option` where even the smallest share takes more, or no share can be had; and as `planFold`.
 */
export function shareWithinBytes(
  config: ModelConfig,
  options: Omit<planFold.Options, "keep">,
  bytesPerToken: number,
): string {
  const plans = possiblePlans(config, options);
  const sizes = plans.map(({ cacheBytesPerToken }) => cacheBytesPerToken.after);
  const most = Math.max(...sizes.filter((size) => size <= bytesPerToken));
  const [best] = plans
    .filter(({ cacheBytesPerToken }) => cacheBytesPerToken.after === most)
    // Neighbouring shares may come to the same ranks.
    .toSorted((a, b) => distanceOf(a) - distanceOf(b));
  if (best !== undefined) return best.keep;
  throw new ConverterError(
    "invalid-option",
    `maxBytes: ${bytesPerToken} bytes per token are less than the ${Math.min(...sizes)} that the smallest share takes; allow more`,
    { option: "maxBytes" },
  );
}

/** How far a plan is from what its name says. */
const distanceOf = ({ keep, achieved }: FoldPlan): number => {
  const { numerator, denominator } = parseKeep(keep);
  return Math.abs(numerator / denominator - achieved);
};

/** The plans of all shares that can be had, of which there is at least one. */
function possiblePlans(config: ModelConfig, options: Omit<planFold.Options, "keep">): readonly FoldPlan[] {
  const plans: FoldPlan[] = [];
  let refused: unknown;
  for (let step = 1; step <= STEPS; step++) {
    try {
      plans.push(planFold(config, { ...options, keep: formatKeep(reduceKeep(step, STEPS)) }));
    } catch (error) {
      if (!isAboutShare(error)) throw error;
      refused = error;
    }
  }
  if (plans.length === 0) throw refused;
  return plans;
}

/** Some methods keep whole heads, or cannot keep everything. */
const isAboutShare = (error: unknown): boolean =>
  ConverterError.isInstance(error) && (error.option === "keep" || error.option === "method");
