import type { HiddenStatesFactory, StageMoments } from "@kvfold/calibration";
import type { Checkpoint } from "@kvfold/decoder";
import type { AbortSignalLike, SessionProvider } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";
import { cacheFigures } from "../plan/cache-size.js";
import type { FoldPlan, LayerPlan } from "../plan/fold-plan.js";
import type { BudgetContext } from "./budget.js";
import { findBudget } from "./index.js";
import { rankGrid } from "./rank-grid.js";

export declare namespace allocateBudget {
  interface Options {
    readonly checkpoint: Checkpoint;
    readonly plan: FoldPlan;
    /** Runs the model, for budgets that need text. */
    readonly provider?: SessionProvider | undefined;
    /** Calibration tokens, windows of one length. */
    readonly windows?: readonly Int32Array[] | undefined;
    /** Moments of the method's taps measured before, by layer. */
    readonly moments?: readonly StageMoments[] | undefined;
    readonly hiddenStates?: HiddenStatesFactory | undefined;
    readonly onBudget?: ((progress: BudgetProgress) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
}

/** How far a budget is, in layers. */
export interface BudgetProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * Settles a plan: its layers become those that its budget gives, with the cache they take. A settled plan comes back
 * as it is. Reads weights a block at a time; budgets that need text run the model on it (docs/method.md, Budgets).
 *
 * @throws {ConverterError} `insufficient-data` when the budget needs text and there is none.
 * @throws {RuntimeError} `aborted` when `signal` fires.
 */
export async function allocateBudget(options: allocateBudget.Options): Promise<FoldPlan> {
  const { checkpoint, plan, signal, onBudget } = options;
  if (plan.settled) return plan;
  const { shape } = checkpoint.config;
  const onLayer = (layer: number) => onBudget?.({ done: layer + 1, total: shape.layers });
  const grid = rankGrid(plan, shape);
  const layers = await allocate(options, { checkpoint, plan, grid, onLayer, signal });
  return {
    ...plan,
    layers,
    settled: true,
    ...cacheFigures(checkpoint.config, layers, plan.dtypes[0] ?? "fp32"),
  };
}

function allocate(options: allocateBudget.Options, context: BudgetContext): Promise<readonly LayerPlan[]> {
  const budget = findBudget(context.plan.budget);
  if (!budget.needsText) return budget.allocate(context);
  const { windows = [], provider, moments, hiddenStates } = options;
  if (windows.length > 0 && windows[0]!.length > 1 && provider !== undefined)
    return budget.allocate({ ...context, windows, provider, moments, hiddenStates });
  throw new ConverterError(
    "insufficient-data",
    `budget ${budget.name} needs calibration text; give token windows of two tokens or more`,
  );
}
