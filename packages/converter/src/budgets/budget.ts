import type { HiddenStatesFactory, StageMoments } from "@kvfold/calibration";
import type { Checkpoint } from "@kvfold/decoder";
import type { AbortSignalLike, SessionProvider } from "@kvfold/runtime";
import type { BlockMath } from "../fold/block-math.js";
import type { Method } from "../methods/method.js";
import type { FoldPlan, LayerPlan } from "../plan/fold-plan.js";
import type { RankGrid } from "./rank-grid.js";

/** What every budget may look at to share out ranks. */
export interface BudgetContext {
  readonly checkpoint: Checkpoint;
  /** The plan with uniform layers. */
  readonly plan: FoldPlan;
  /** The plan's method. */
  readonly method: Method;
  readonly grid: RankGrid;
  /** Runs the linear algebra of the plan's method. */
  readonly math: BlockMath;
  /** Call it when a layer is finished. */
  readonly onLayer: (layer: number) => void;
  readonly signal: AbortSignalLike | undefined;
}

/** Further inputs of budgets that run the model. */
export interface TextBudgetContext extends BudgetContext {
  /** Token windows of one length, at least two tokens. */
  readonly windows: readonly Int32Array[];
  readonly provider: SessionProvider;
  readonly hiddenStates: HiddenStatesFactory | undefined;
  /** Moments of the method's taps by layer, where they were measured before. */
  readonly moments: readonly StageMoments[] | undefined;
  /** Sees the moments of attention that were measured of a layer. */
  readonly onAttention?: ((layer: number, moments: StageMoments) => void) | undefined;
}

interface BudgetDescription {
  readonly name: string;
  /** One sentence for help texts. */
  readonly summary: string;
  /** Where it comes from. */
  readonly reference: string;
}

/** A budget that looks at weights alone. Its layers lie on the grid, together at most `grid.total` units. */
export interface WeightBudget extends BudgetDescription {
  readonly needsText: false;
  readonly allocate: (context: BudgetContext) => Promise<readonly LayerPlan[]>;
}

/** A budget that runs the model on calibration text, whatever the method needs. */
export interface TextBudget extends BudgetDescription {
  readonly needsText: true;
  /** Tokens that its windows have at least: two unless told otherwise, since losses are of next tokens. */
  readonly leastTokens?: number;
  readonly allocate: (context: TextBudgetContext) => Promise<readonly LayerPlan[]>;
}

/** A way to share out the ranks of all layers: one small file in this folder, and an entry in the registry. */
export type Budget = WeightBudget | TextBudget;
