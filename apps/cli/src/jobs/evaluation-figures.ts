import {
  type BootstrapEstimate,
  type bootstrap,
  bootstrapMean,
  bootstrapPerplexity,
  bootstrapRatio,
  meanOfSums,
  type PositionRange,
  perplexityOfSums,
  positionRanges,
  sumChosen,
  sumPositions,
  type WindowSum,
} from "@kvfold/runtime";
import type { Measurements, ModelLosses, ShiftRun } from "./measure-models.js";

/** How well a model predicts, in itself and beside the first model. */
export interface Figures {
  /** Mean negative log likelihood of a token, in nats. */
  readonly nll: number;
  readonly perplexity: number;
  /** Perplexity over that of the first model. */
  readonly ratio: number;
  /** Tokens predicted. */
  readonly tokens: number;
  readonly bootstrap: FigureErrors;
  /** Mean `KL(first model || this one)` of a token, in nats. */
  readonly kl?: number;
  /** Share of the tokens for which the most likely one is another than the first model's; 0 to 1. */
  readonly changedChoices?: number;
}

/** Standard errors and 95 % intervals by drawing windows; absent for a single window. */
export interface FigureErrors {
  readonly perplexity?: BootstrapEstimate | undefined;
  /** Paired: of both models over the same drawn windows. */
  readonly ratio?: BootstrapEstimate | undefined;
  readonly kl?: BootstrapEstimate | undefined;
}

/** Figures of the tokens at some positions of the windows, half-open. */
export interface PositionFigures extends Figures, PositionRange {}

/** Figures of the same windows with all positions moved by `shift`. */
export interface ShiftFigures extends Figures {
  readonly shift: number;
  /** Perplexity over that of the same model without a shift. */
  readonly change: number;
}

/** All figures of one model; those of the interface itself are without a shift. */
export interface ModelFigures extends Figures {
  readonly positions: readonly PositionFigures[];
  /** Over the first model's key tokens, where there are any: LongPPL. */
  readonly keyTokens?: Figures;
  /** Where shifts were asked for: one of 0, and those. */
  readonly shifts?: readonly ShiftFigures[];
}

/** Works out all figures of model `index`, from what was measured and a seed for the bootstrap. */
export function modelFigures(
  measured: Measurements,
  index: number,
  options: bootstrap.Options,
): ModelFigures {
  const [model, reference] = [measured.models[index]!, measured.models[0]!];
  return {
    ...runFigures(model, reference, 0, options),
    positions: positionFigures(model.runs[0]!, reference.runs[0]!, options),
    ...keyTokenFigures(model.runs[0]!, reference.runs[0]!, measured.keyTokens, options),
    ...(model.runs.length > 1 && { shifts: shiftFigures(model, reference, options) }),
  };
}

/** Figures of run `at` of a model, beside the same run of the first. */
function runFigures(
  model: ModelLosses,
  reference: ModelLosses,
  at: number,
  options: bootstrap.Options,
): Figures {
  const { losses, divergence } = model.runs[at]!;
  const sums = (windows: ShiftRun["losses"]) => windows.map((window) => sumPositions(window));
  const figures = lossFigures(sums(losses), sums(reference.runs[at]!.losses), options);
  if (divergence === undefined) return figures;
  return {
    ...figures,
    bootstrap: { ...figures.bootstrap, kl: bootstrapMean(divergence.kl, options) },
    kl: meanOfSums(divergence.kl),
    changedChoices: meanOfSums(divergence.changes),
  };
}

function lossFigures(
  sums: readonly WindowSum[],
  reference: readonly WindowSum[],
  options: bootstrap.Options,
): Figures {
  const figures = perplexityOfSums(sums);
  const ratio = Math.exp(figures.nll - meanOfSums(reference));
  return {
    ...figures,
    ratio,
    bootstrap: {
      perplexity: bootstrapPerplexity(sums, options),
      ratio: bootstrapRatio(sums, reference, options),
    },
  };
}

function positionFigures(
  { losses }: ShiftRun,
  reference: ShiftRun,
  options: bootstrap.Options,
): readonly PositionFigures[] {
  const length = Math.max(...losses.map((window) => window.length));
  return positionRanges(length).map((range) => {
    const sums = (windows: ShiftRun["losses"]) => windows.map((window) => sumPositions(window, range));
    return { ...range, ...lossFigures(sums(losses), sums(reference.losses), options) };
  });
}

function keyTokenFigures(
  { losses }: ShiftRun,
  reference: ShiftRun,
  keyTokens: Measurements["keyTokens"],
  options: bootstrap.Options,
): Pick<ModelFigures, "keyTokens"> {
  if (keyTokens === undefined || keyTokens.every((indices) => indices.length === 0)) return {};
  const sums = (windows: ShiftRun["losses"]) =>
    windows.map((window, index) => sumChosen(window, keyTokens[index]!));
  return { keyTokens: lossFigures(sums(losses), sums(reference.losses), options) };
}

function shiftFigures(
  model: ModelLosses,
  reference: ModelLosses,
  options: bootstrap.Options,
): readonly ShiftFigures[] {
  const all = model.runs.map(({ shift }, at) => ({ shift, ...runFigures(model, reference, at, options) }));
  return all.map((figures) => ({ ...figures, change: Math.exp(figures.nll - all[0]!.nll) }));
}
