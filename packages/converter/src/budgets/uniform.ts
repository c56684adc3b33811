import { UNIFORM } from "../plan/budget-name.js";
import type { WeightBudget } from "./budget.js";

/** Every layer the same: what checkpoints and older runtimes can say, and the baseline. */
export const uniform: WeightBudget = {
  name: UNIFORM,
  summary: "the same rank in every layer",
  reference: "baseline",
  needsText: false,
  allocate: async ({ plan }) => plan.layers,
};
