import type { Dtype } from "@kvfold/decoder";
import type { ExecutionProvider } from "@kvfold/runtime-node";
import { CliError } from "../cli-error.js";
import type { HubSettings } from "../hub/hub-settings.js";
import { findModels } from "../models/find-model.js";
import { type DeviceOptions, floatType, openDevice } from "../models/open-device.js";
import type { TokenFile } from "../tokens/read-tokens.js";
import { type ModelFigures, modelFigures } from "./evaluation-figures.js";
import { readEvaluationText } from "./evaluation-text.js";
import type { JobContext } from "./job.js";
import { deviceOptions, type OptionNames, requireKnown } from "./known-options.js";
import { type Measurements, measureModels } from "./measure-models.js";

export declare namespace evaluateModels {
  interface Options extends DeviceOptions {
    /** The first is what the others are compared to. */
    readonly models: readonly string[];
    readonly hub?: HubSettings | undefined;
    readonly files: readonly TokenFile[];
    /** Windows to measure; all that the text gives without it. */
    readonly windows?: number | undefined;
    /** Tokens predicted per window. */
    readonly window?: number | undefined;
    readonly dtype?: Dtype | undefined;
    /** Positions by which all windows are moved, one pass over them for each; 0 is always measured, and comes first. */
    readonly shifts?: readonly number[] | undefined;
    /** `skip` leaves out what needs two models in memory at a time; `measure` unless given. */
    readonly divergence?: "measure" | "skip" | undefined;
    /** Measures LongPPL, too. */
    readonly longPerplexity?: LongPerplexity | undefined;
    /** Of the windows that the bootstrap draws; 0 unless given. */
    readonly seed?: number | undefined;
  }
  interface LongPerplexity {
    /** Tokens of the short context; a quarter of the window and at most 4096 unless given. */
    readonly shortContext?: number | undefined;
  }
  interface Evaluation extends ModelFigures {
    readonly path: string;
    readonly cacheBytesPerToken: number;
  }
  interface Result {
    /** What ran the models. */
    readonly device: ExecutionProvider;
    /** Windows that were measured. */
    readonly windows: number;
    readonly models: readonly Evaluation[];
    /** Where LongPPL was asked for. */
    readonly keyTokens?: KeyTokens;
  }
  /** Key tokens as the first model finds them. */
  interface KeyTokens {
    readonly shortContext: number;
    /** How many there are; the figures of models are over these. */
    readonly tokens: number;
  }
}

const OPTIONS: OptionNames<evaluateModels.Options> = {
  ...deviceOptions,
  models: true,
  hub: true,
  files: true,
  windows: true,
  window: true,
  dtype: true,
  shifts: true,
  divergence: true,
  seed: true,
  longPerplexity: { shortContext: true },
};

/**
 * Measures how well models predict text, all on the same windows. Windows hold one token more than are predicted,
 * and each starts from nothing.
 *
 * @throws {CliError} `unsupported-model` when the models' tokenizers differ, since perplexities then mean nothing to
 * each other, and when the positions of a model cannot be moved; `usage` for a window, a shift or a short context that does
 * not fit.
 */
export async function evaluateModels(
  options: evaluateModels.Options,
  context: JobContext,
): Promise<evaluateModels.Result> {
  requireKnown("evaluateModels", options, OPTIONS);
  const { dtype, divergence = "measure", seed } = options;
  const shifts = [...new Set([0, ...(options.shifts ?? [])])].sort((a, b) => a - b);
  const furthestShift = shifts.at(-1)!;
  const { device, provider } = await openDevice(options, context, floatType(dtype));
  const models = await findModels(options.models, options.hub, context);
  const { windows, window } = await readEvaluationText(models, { ...options, furthestShift }, context);
  const shortContext = chooseShortContext(options.longPerplexity, window);
  const request = {
    provider,
    dtype,
    windows,
    shifts,
    positions: furthestShift + window,
    divergence,
    shortContext,
  };
  const measured = await measureModels(models, request, context);
  const evaluations = measured.models.map(({ path, cacheBytesPerToken }, index) => ({
    path,
    ...modelFigures(measured, index, { seed }),
    cacheBytesPerToken,
  }));
  tellOfMovedOriginal(evaluations[0]!, context);
  for (const evaluation of evaluations) tellOfUnreadPositions(evaluation, context);
  return {
    device,
    windows: windows.length,
    models: evaluations,
    ...describeKeyTokens(measured, shortContext),
  };
}

/** That of the paper; its models have contexts of 32 768 tokens and more. */
const PUBLISHED_SHORT_CONTEXT = 4096;

/** A quarter of the window leaves three quarters of its tokens to find key tokens among. */
function chooseShortContext(
  longPerplexity: evaluateModels.LongPerplexity | undefined,
  window: number,
): number | undefined {
  if (longPerplexity === undefined) return undefined;
  const { shortContext = Math.max(1, Math.min(PUBLISHED_SHORT_CONTEXT, Math.floor(window / 4))) } =
    longPerplexity;
  if (shortContext + Math.max(1, Math.floor(shortContext / 4)) <= window) return shortContext;
  throw new CliError(
    "usage",
    `--short-context ${shortContext}: windows of ${window} tokens have none with a longer context to compare; ask for ${Math.floor(window / 2)} or less`,
  );
}

function describeKeyTokens(
  { keyTokens }: Measurements,
  shortContext: number | undefined,
): Pick<evaluateModels.Result, "keyTokens"> {
  if (keyTokens === undefined || shortContext === undefined) return {};
  return { keyTokens: { shortContext, tokens: keyTokens.reduce((sum, { length }) => sum + length, 0) } };
}

/** A rotation keeps a text's perplexity to about 1e-6, in float16 to about 1e-3. */
const STEADY = 1e-3;

/** Where the first model itself changes, a ratio at a shift compares two models that both did. */
function tellOfMovedOriginal(
  { path, shifts = [] }: evaluateModels.Evaluation,
  { onNotice }: JobContext,
): void {
  for (const { shift, change } of shifts) {
    if (Math.abs(change - 1) <= STEADY) continue;
    onNotice(
      `the perplexity of ${path} itself changes by ${(100 * (change - 1)).toFixed(2)} % at shift ${shift}: its rotation depends on how long a text is (LongRoPE, dynamic NTK), or its graph rounds positions`,
    );
  }
}

/** Rotations at other positions round differently, so what is the same to the last bit has not been moved. */
function tellOfUnreadPositions(
  { path, nll, shifts = [] }: evaluateModels.Evaluation,
  { onNotice }: JobContext,
): void {
  const moved = shifts.slice(1);
  if (moved.length === 0 || moved.some((figures) => figures.nll !== nll)) return;
  onNotice(
    `${path} is the same at every shift to the last bit: its graph does not read position_ids but counts positions from the attention mask, so no shift can change it`,
  );
}
