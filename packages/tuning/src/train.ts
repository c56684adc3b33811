import type { AbortSignalLike } from "@kvfold/runtime";
import { adamStep, globalNorm } from "./adam.js";
import type { Adapter } from "./adapters.js";
import { learningRateAt } from "./learning-rate.js";
import type { Trainer } from "./trainer.js";
import { allParameters, newState, type TrainingState } from "./training-state.js";
import { TuningError } from "./tuning-error.js";
import { windowOrder } from "./window-order.js";

/** How far a training is. */
export interface TrainingProgress {
  /** The step that was just taken, from 1. */
  readonly step: number;
  readonly steps: number;
  /** Mean loss of the step, in nats per token, before its change. */
  readonly loss: number;
  /** The last held-out loss, where there is one. */
  readonly heldOut: number | undefined;
}

export interface TrainingSchedule {
  readonly steps: number;
  readonly windowsPerStep: number;
  /** The highest learning rate. */
  readonly learningRate: number;
  /** Steps that the learning rate rises in, before it falls to 0. */
  readonly warmUp: number;
  readonly weightDecay: number;
  /** Gradients with a larger norm are scaled down to it. */
  readonly clip: number;
  /** Of the order of windows. */
  readonly seed: number;
  /** Steps between two held-out losses. */
  readonly evaluateEvery: number;
  /** Held-out losses in a row that may be no better than the best before the training ends. */
  readonly patience: number;
}

/** What a training ended with. */
export interface TrainingReport {
  /** Steps that were taken. */
  readonly steps: number;
  /** The step whose parameters were kept. */
  readonly kept: number;
  readonly stoppedEarly: boolean;
  /** Mean loss of each step, in nats per token. */
  readonly losses: readonly number[];
  /** Held-out losses; that of step 0 is the loss before the training. */
  readonly heldOut: readonly { readonly step: number; readonly loss: number }[];
}

export declare namespace train {
  interface Options extends TrainingSchedule {
    readonly trainer: Pick<Trainer, "loss" | "gradients">;
    /** By layer; their parameters are changed in place. */
    readonly adapters: readonly (readonly Adapter[])[];
    /** Windows to learn from. */
    readonly windows: readonly Int32Array[];
    /** Windows to stop by; without any, all steps are taken and the last parameters stay. */
    readonly heldOut: readonly Int32Array[];
    /** Of an earlier run, whose parameters `adapters` have; a new one without it. */
    readonly state?: TrainingState | undefined;
    /** Called after each step with what the next one goes on from. */
    readonly onState?: ((state: TrainingState) => Promise<void>) | undefined;
    readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
    /** Ends the training once it has fired, with the best until then: after the step at hand, which is measured as the last one is. */
    readonly enough?: AbortSignalLike | undefined;
  }
}

/**
 * Trains adapters by AdamW on gradients of the mean loss, the global norm clipped. The adapters end with the parameters of the
 * best held-out loss. A run that goes on from a state ends with the same parameters as one that never stopped, on the same
 * machine and with the same number of threads.
 *
 * @throws {TuningError} `diverged` when the loss or a gradient is not finite, or the loss is far above where it began.
 */
export async function train(options: train.Options): Promise<TrainingReport> {
  const { adapters, steps } = options;
  const state = options.state ?? newState(adapters);
  // Between two awaits a state is always whole: wherever a run is stopped, it can go on from it.
  for (;;) {
    const isOver = isLast(options, state);
    if (isMeasureDue(options, state)) await measure(options, state);
    if (isOver || staleFor(state) >= options.patience) break;
    await takeStep(options, state);
  }
  const kept = keepBest(adapters, state);
  const { step, losses, heldOut } = state;
  return { steps: step, kept, stoppedEarly: step < steps, losses, heldOut };
}

/** Held-out losses since the best. */
function staleFor({ heldOut }: TrainingState): number {
  return heldOut.length === 0 ? 0 : heldOut.length - 1 - bestOf(heldOut);
}

/** The first of the lowest. */
const bestOf = (heldOut: TrainingState["heldOut"]): number =>
  heldOut.reduce((best, { loss }, index) => (loss < heldOut[best]!.loss ? index : best), 0);

function keepBest(adapters: train.Options["adapters"], { best, heldOut, step }: TrainingState): number {
  if (best === undefined) return step;
  for (const [index, { values }] of allParameters(adapters).entries()) values.set(best[index]!);
  return heldOut[bestOf(heldOut)]!.step;
}

const isLast = ({ steps, enough }: train.Options, { step }: TrainingState): boolean =>
  step >= steps || enough?.aborted === true;

const isMeasureDue = (options: train.Options, state: TrainingState): boolean =>
  options.heldOut.length > 0 &&
  (state.step % options.evaluateEvery === 0 || isLast(options, state)) &&
  state.heldOut.at(-1)?.step !== state.step;

async function measure({ trainer, adapters, heldOut }: train.Options, state: TrainingState): Promise<void> {
  const loss = await trainer.loss(heldOut);
  state.heldOut.push({ step: state.step, loss });
  if (staleFor(state) === 0) state.best = allParameters(adapters).map(({ values }) => values.slice());
}

async function takeStep(options: train.Options, state: TrainingState): Promise<void> {
  const { trainer, steps, onState, onProgress } = options;
  const found = await trainer.gradients(nextWindows(options, state.step));
  const gradients = found.layers.flat();
  const norm = globalNorm(gradients);
  requireSound({ loss: found.loss, norm }, options, state);
  change({ gradients, norm }, options, state);
  state.step++;
  state.losses.push(found.loss);
  await onState?.(state);
  onProgress?.({ step: state.step, steps, loss: found.loss, heldOut: state.heldOut.at(-1)?.loss });
}

function nextWindows({ windows, windowsPerStep, seed }: train.Options, step: number): readonly Int32Array[] {
  const order = windowOrder(windows.length, seed);
  return Array.from({ length: windowsPerStep }, (_, index) => windows[order(step * windowsPerStep + index)]!);
}

function change(
  { gradients, norm }: { readonly gradients: readonly Float32Array[]; readonly norm: number },
  options: train.Options,
  { step, moments }: TrainingState,
): void {
  const adam = {
    learningRate: learningRateAt(step + 1, options),
    weightDecay: options.weightDecay,
    step: step + 1,
    gradientScale: Math.min(1, options.clip / norm),
  };
  for (const [index, { values }] of allParameters(options.adapters).entries())
    adamStep(values, gradients[index]!, moments[index]!, adam);
}

/** Steps that are looked at together, and how far above the first of them the loss may be, in shares of it and in nats. */
const [RECENT, MOST, MARGIN] = [5, 4, 1];

function requireSound(
  { loss, norm }: { readonly loss: number; readonly norm: number },
  { learningRate }: TrainingSchedule,
  { step, losses }: TrainingState,
): void {
  const fail = (found: string): never => {
    throw new TuningError(
      "diverged",
      `step ${step + 1}: ${found}; lower the learning rate (it is ${learningRate})`,
      { option: "learningRate" },
    );
  };
  if (!Number.isFinite(loss)) fail(`the loss is ${loss}`);
  if (!Number.isFinite(norm)) fail("the gradient is not finite");
  const first = losses[0] ?? loss;
  const recent = [...losses, loss].slice(-RECENT);
  const mean = recent.reduce((total, value) => total + value, 0) / recent.length;
  if (mean > MOST * first + MARGIN)
    fail(`the loss grew from ${first.toPrecision(3)} to ${mean.toPrecision(3)} nats per token`);
}
