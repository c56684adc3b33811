import type { StageMoments } from "@kvfold/calibration";
import type { FoldPlan } from "@kvfold/converter";
import { lostEnergy, spreadMoments } from "@kvfold/converter/internals";
import type { ModelConfig } from "@kvfold/decoder";
import { energyShares, type Moments, secondMoment, sliceMoments, symmetricEigenvalues } from "@kvfold/linalg";
import { ENERGY_FRACTIONS, type LayerEnergy } from "./fold-request.js";

/** Full decompositions of more than this take minutes, and a picture is not worth them. */
const MAX_WIDTH = 1024;

export interface MeasuredLayer {
  readonly config: ModelConfig;
  readonly plan: FoldPlan;
  readonly layer: number;
  readonly moments: StageMoments;
  /** Tokens of a window: the positions that keys are turned by. */
  readonly window: number;
}

/** Where the energy of a layer lies; `undefined` where the fold measured no keys and values, or too wide ones. */
export function layerEnergy({ moments, window, ...measured }: MeasuredLayer): LayerEnergy | undefined {
  const { keysAndValues } = moments;
  const { early, values } = sidesOf(moments);
  if (early === undefined || values === undefined || early.width > MAX_WIDTH) return undefined;
  const { attention } = measured.config.blocks[measured.layer]!;
  const keys = spreadMoments("keys", () => early, { attention, context: window })!;
  const kept = { keys: sharesOf(keys), values: sharesOf(values) };
  if (keysAndValues === undefined) return kept;
  return { ...kept, lost: lostEnergy({ ...measured, keysAndValues, fractions: ENERGY_FRACTIONS, kept }) };
}

/** Keys before the rotation, and values. */
function sidesOf({ keysAndValues: both, keysBeforeRope, keys, values }: StageMoments) {
  if (both === undefined) return { early: keysBeforeRope ?? keys, values };
  const half = both.width / 2;
  return { early: sliceMoments(both, 0, half), values: sliceMoments(both, half, both.width) };
}

const sharesOf = (moments: Moments): readonly number[] =>
  energyShares(symmetricEigenvalues(secondMoment(moments)), ENERGY_FRACTIONS);
