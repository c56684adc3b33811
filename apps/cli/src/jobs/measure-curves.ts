import { type FoldPlan, findMethod, type planFold as plan, planFold } from "@kvfold/converter";
import type { FoldChoice } from "../goals/candidates.js";
import { APART_LAW, type CurvePoint, JOINT_LAW, type LossLaw } from "../goals/loss-curve.js";
import type { CalibrationText } from "../tokens/calibration-windows.js";
import type { JobContext } from "./job.js";
import { measureEnergy } from "./measure-energy.js";
import type { ModelWork } from "./measured-fold.js";

/** Shares that goals look at: of sixteenths. */
const STEPS = 16;

/** Windows whose energies are measured: they change the estimate in the second digit. */
const ENERGY_WINDOWS = 8;

export const keepOf = (share: number): string => `${Math.round(share * STEPS)}/${STEPS}`;

/** The energy that latents of all shares lose, over all layers: one for keys and values together, or one for each. */
export type EnergyCurves = Readonly<Record<"joint" | "apart", readonly CurvePoint[]>>;

/** Runs the original once over a few windows. */
export async function measureCurves(
  { checkpoint }: ModelWork,
  { windows }: CalibrationText,
  context: JobContext,
): Promise<EnergyCurves> {
  const shares = Array.from({ length: STEPS - 1 }, (_, index) => (index + 1) / STEPS);
  const { layers } = await measureEnergy(checkpoint, windows.slice(0, ENERGY_WINDOWS), context, shares);
  const curveOf = (kind: "joint" | "apart") =>
    shares.map((share, index) => {
      const lost = layers.reduce((sum, layer) => sum + layer.lost[kind][index]!, 0);
      return { share, energy: lost / layers.length };
    });
  return { joint: curveOf("joint"), apart: curveOf("apart") };
}

/** A way to fold, and what it is expected to lose. */
export interface Candidate {
  readonly choice: FoldChoice;
  /** The shares that it can fold to. */
  readonly curve: readonly CurvePoint[];
  readonly law: LossLaw;
}

/** What is known of a way to fold before anything is folded. */
export function expectation(
  choice: FoldChoice,
  curves: EnergyCurves,
  { work, options }: { readonly work: ModelWork; readonly options: Omit<plan.Options, "keep"> },
): Candidate {
  const planAt = (share: number): FoldPlan =>
    planFold(work.checkpoint.config, { ...options, ...choice, keep: keepOf(share) });
  const isJoint = findMethod(planAt(1 / 2).method).joint !== undefined;
  const curve = curves[isJoint ? "joint" : "apart"].filter(({ share }) => isPossible(() => planAt(share)));
  return { choice, curve, law: isJoint ? JOINT_LAW : APART_LAW };
}

/** Methods that keep whole heads have few shares. */
function isPossible(plan: () => FoldPlan): boolean {
  try {
    plan();
    return true;
  } catch {
    return false;
  }
}
