import type { HiddenStatesFactory, StageMoments } from "@kvfold/calibration";
import type { Checkpoint } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import type { AbortSignalLike, SessionProvider } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";
import { type BlockMath, createBlockMath } from "../fold/block-math.js";
import { ATTENTION_WINDOWS } from "../fold/measure-steps.js";
import { requireGradients } from "../fold/require-gradients.js";
import { findMethod } from "../methods/index.js";
import type { Method } from "../methods/method.js";
import { cacheFigures } from "../plan/cache-size.js";
import type { FoldPlan, LayerPlan } from "../plan/fold-plan.js";
import type { Budget, BudgetContext, TextBudgetContext } from "./budget.js";
import { findBudget } from "./index.js";
import { rankGrid } from "./rank-grid.js";
import { requireAllocation } from "./require-allocation.js";

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
    /** Runs linear algebra; in this thread without it. Where given, it must know a method of one's own. */
    readonly math?: BlockMath | undefined;
    /** The plan's method and budget, where these are one's own. */
    readonly methods?: readonly Method[] | undefined;
    readonly budgets?: readonly Budget[] | undefined;
    readonly onBudget?: ((progress: BudgetProgress) => void) | undefined;
    /** Sees moments of attention that a fold of the same text would measure again: it takes them as `attention`. */
    readonly onAttention?: ((layer: number, moments: StageMoments) => void) | undefined;
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
 * @throws {ConverterError} `insufficient-data` when the budget needs text and there is none, `invalid-option` when its
 * layers exceed the plan's total or what their heads hold.
 * @throws {RuntimeError} `aborted` when `signal` fires.
 */
export async function allocateBudget(options: allocateBudget.Options): Promise<FoldPlan> {
  const { checkpoint, plan, signal, onBudget } = options;
  if (plan.settled) return plan;
  const { shape } = checkpoint.config;
  const onLayer = (layer: number) => onBudget?.({ done: layer + 1, total: shape.layers });
  const grid = rankGrid(plan, shape);
  const method = findMethod(plan.method, options.methods);
  const { methods, math = createBlockMath(plainProducts, { methods }) } = options;
  const layers = await allocate(options, { checkpoint, plan, method, grid, math, onLayer, signal });
  requireAllocation({ plan, method, layers }, shape);
  return {
    ...plan,
    layers,
    settled: true,
    ...cacheFigures(checkpoint.config, layers, plan.dtypes[0] ?? "fp32"),
  };
}

function allocate(options: allocateBudget.Options, context: BudgetContext): Promise<readonly LayerPlan[]> {
  const budget = findBudget(context.plan.budget, options.budgets);
  if (!budget.needsText) return budget.allocate(context);
  const { windows = [], provider, moments, hiddenStates } = options;
  requireGradients({ plan: context.plan, moments });
  const { leastTokens = 2 } = budget;
  if (windows.length > 0 && windows[0]!.length >= leastTokens && provider !== undefined)
    return budget.allocate({
      ...context,
      windows,
      provider,
      moments,
      hiddenStates,
      onAttention: wholeAttention(options),
    });
  throw new ConverterError(
    "insufficient-data",
    `budget ${budget.name} needs calibration text; give token windows of ${leastTokens === 1 ? "a token" : "two tokens"} or more`,
  );
}

/** Leaves out moments of fewer windows than a fold measures attention on. */
function wholeAttention({
  windows = [],
  onAttention,
}: allocateBudget.Options): TextBudgetContext["onAttention"] {
  if (onAttention === undefined) return undefined;
  const tokens = Math.min(windows.length, ATTENTION_WINDOWS) * (windows[0]?.length ?? 0);
  return (layer, moments) => {
    const isWhole = Object.values(moments).every(({ count }) => count === tokens);
    if (isWhole) onAttention(layer, moments);
  };
}
