import type { Moments } from "@kvfold/linalg";

/** Moments of one stage by name, e.g. `keys`. */
export type StageMoments = Readonly<Record<string, Moments>>;

/** The cross moment of rows `y [W]` with rows `z [V]` of the same tokens. */
export interface CrossMoments {
  /** `Σ yᵀz [W, V]` */
  readonly cross: Float64Array;
  /** `Σ z [V]` */
  readonly sum: Float64Array;
}

/** What a stage summed over its windows, in float64. */
export interface StageResult {
  readonly moments: StageMoments;
  /** By the name of `z`. */
  readonly crosses: Readonly<Record<string, CrossMoments>>;
}
