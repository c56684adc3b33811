import type { HiddenStatesFactory, ShardExchange, StageMoments } from "@kvfold/calibration";
import type { Checkpoint, ModelOutput } from "@kvfold/decoder";
import type { AbortSignalLike, SessionProvider } from "@kvfold/runtime";
import type { FoldJournal } from "../journal/fold-journal.js";
import type { Retained } from "../methods/retained.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import type { BlockMath } from "./block-math.js";
import type { FoldProgress } from "./progress.js";

/** Calibration text and what runs the model over it. */
export interface CalibrationText {
  /** Runs the blocks while calibrating and healing. */
  readonly provider: SessionProvider;
  /** Calibration tokens, windows of one length. */
  readonly windows: readonly Int32Array[];
  /** Where hidden states are kept: in memory unless given. */
  readonly hiddenStates?: HiddenStatesFactory | undefined;
}

/** All that `foldModel` takes; its parts take what they need of it. */
export interface FoldOptions {
  readonly checkpoint: Checkpoint;
  /** With a settled budget. */
  readonly plan: FoldPlan;
  readonly outputs: readonly ModelOutput[];
  /** `CalibrationText`: methods without taps that do not heal need none. */
  readonly provider?: SessionProvider | undefined;
  readonly windows?: readonly Int32Array[] | undefined;
  readonly hiddenStates?: HiddenStatesFactory | undefined;
  /**
   * Where several processes fold the same model together: each runs the windows of its shard alone, sums go through this, and
   * all come to the same blocks. `windows` are those of the whole text for all of them.
   */
  readonly exchange?: ShardExchange | undefined;
  /** Moments measured before, by layer: nothing is measured then, and text serves healing alone. */
  readonly moments?: readonly StageMoments[] | undefined;
  /** Moments of gradients by layer, as `lossMoments` measures them, for plans with metric `loss`; `moments` may have them, too. */
  readonly gradients?: readonly StageMoments[] | undefined;
  /** Moments of attention by layer, as `allocateBudget` hands them out: they are not measured again. */
  readonly attention?: readonly StageMoments[] | undefined;
  /** Sees the moments of each layer once they are measured. */
  readonly onMoments?: ((layer: number, moments: StageMoments) => void) | undefined;
  /**
   * Keeps each finished block, and holds those that an earlier run of the same fold finished: the fold goes on after
   * them, and the outputs are the same as if it had never stopped.
   */
  readonly journal?: FoldJournal | undefined;
  /** Where the linear algebra runs: in this thread unless given. Not disposed here. */
  readonly math?: BlockMath | undefined;
  readonly onProgress?: ((progress: FoldProgress) => void) | undefined;
  readonly signal?: AbortSignalLike | undefined;
}

/** What a fold reports once it is done. */
export interface FoldReport {
  /** By layer: share of the energy each group's basis keeps. */
  readonly retained: readonly Retained[];
}
