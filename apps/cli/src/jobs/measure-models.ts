import type { Dtype } from "@kvfold/decoder";
import {
  cacheBytesPerToken,
  compareModels,
  findKeyTokens,
  type SessionProvider,
  type ShiftObstacle,
  shortContextLosses,
  sumPositions,
  type WindowSum,
  windowLosses,
} from "@kvfold/runtime";
import { CliError } from "../cli-error.js";
import type { FoundModel } from "../models/find-model.js";
import { type OpenedModel, withModels } from "../models/open-model.js";
import type { JobContext } from "./job.js";

/** What one model predicts of all windows, at every shift. */
export interface ModelLosses {
  readonly path: string;
  readonly cacheBytesPerToken: number;
  readonly runs: readonly ShiftRun[];
}

/** The same windows once, their first token at position `shift`. */
export interface ShiftRun {
  readonly shift: number;
  /** `[n]` for each window, nats. */
  readonly losses: readonly Float64Array[];
  /** Against the first model at the same shift; absent for itself, and where the models were run one by one. */
  readonly divergence?: { readonly kl: readonly WindowSum[]; readonly changes: readonly WindowSum[] };
}

export interface Measurements {
  /** In the order of the models. */
  readonly models: readonly ModelLosses[];
  /** For each window the indices of the first model's key tokens, where they were asked for. */
  readonly keyTokens: readonly (readonly number[])[] | undefined;
}

export declare namespace measureModels {
  interface Request {
    readonly provider: SessionProvider;
    readonly dtype: Dtype | undefined;
    readonly windows: readonly Int32Array[];
    /** The first is 0. */
    readonly shifts: readonly number[];
    /** Positions that the longest shift needs. */
    readonly positions: number;
    /** `measure` holds two models in memory at a time, `skip` one. */
    readonly divergence: "measure" | "skip";
    /** Tokens of the short context that key tokens are found by; they are not looked for without it. */
    readonly shortContext: number | undefined;
  }
}

/**
 * Runs all models over the same windows.
 *
 * @throws {CliError} `unsupported-model` when a model's positions cannot be moved.
 */
export function measureModels(
  found: readonly FoundModel[],
  request: measureModels.Request,
  context: JobContext,
): Promise<Measurements> {
  const places = found.map((model, index) => ({
    model,
    label: `${model.name} (${index + 1}/${found.length})`,
  }));
  const measure = request.divergence === "skip" ? measureApart : measureBeside;
  return measure(places, { ...request, context });
}

interface Job extends measureModels.Request {
  readonly context: JobContext;
}

/** A model that is yet to be opened, and what progress calls it. */
interface Place {
  readonly model: FoundModel;
  readonly label: string;
}

interface PlacedModel extends OpenedModel {
  readonly label: string;
}

async function measureApart([first, ...others]: readonly Place[], job: Job): Promise<Measurements> {
  const original = await open(first!, job, async (model) => {
    const reference = await measureAlone(model, job);
    return { reference, keyTokens: await keyTokensOf(model, reference, job) };
  });
  const models = [original.reference];
  for (const other of others) models.push(await open(other, job, (model) => measureAlone(model, job)));
  return { models, keyTokens: original.keyTokens };
}

/** The first model stays open and runs again beside each of the others. */
function measureBeside([first, ...others]: readonly Place[], job: Job): Promise<Measurements> {
  return open(first!, job, async (original) => {
    let reference: ModelLosses | undefined;
    const models: ModelLosses[] = [];
    for (const other of others) {
      const pair = await open(other, job, (model) => measurePair(original, model, job));
      reference ??= pair.reference;
      models.push(pair.model);
    }
    reference ??= await measureAlone(original, job);
    return { models: [reference, ...models], keyTokens: await keyTokensOf(original, reference, job) };
  });
}

const open = <T>(
  { model, label }: Place,
  { provider, dtype, positions, shifts, context }: Job,
  work: (model: PlacedModel) => Promise<T>,
): Promise<T> =>
  withModels([model], { provider, dtype, positions }, context, async ([opened]) => {
    if (shifts.length > 1) await requireShifts(opened!);
    return work({ ...opened!, label });
  });

const OBSTACLES: Readonly<Record<ShiftObstacle, string>> = {
  "no-position-input": "its graph has no input position_ids, as with ALiBi, so a shift would have no effect",
  "absolute-positions": "its positions are learned, so that every shift is another input to it",
  "positions-from-mask":
    "it rotates cached keys where it reads them, at positions that its graph counts from the attention mask, so a shift would move queries alone (folding it again gives a graph that does not)",
};

async function requireShifts({ path, lm }: OpenedModel): Promise<void> {
  const obstacle = await lm.findShiftObstacle();
  if (obstacle === undefined) return;
  throw new CliError(
    "unsupported-model",
    `--shift cannot be measured on ${path}: ${OBSTACLES[obstacle]}; leave out --shift, or the model`,
  );
}

async function measureAlone({ path, lm, label }: PlacedModel, job: Job): Promise<ModelLosses> {
  const runs: ShiftRun[] = [];
  for (const shift of job.shifts) {
    const { windows, options, tell } = passOver(label, shift, job);
    const losses: Float64Array[] = [];
    for await (const window of windowLosses(lm, windows, options)) tell(losses.push(window));
    runs.push({ shift, losses });
  }
  return describe(path, lm, runs);
}

interface PairLosses {
  readonly reference: ModelLosses | undefined;
  readonly model: ModelLosses;
}

/** Vocabularies of one tokenizer may be padded to different sizes: their distributions cannot be compared. */
async function measurePair(original: PlacedModel, model: PlacedModel, job: Job): Promise<PairLosses> {
  const [expected, found] = [original.lm.vocabularySize, model.lm.vocabularySize];
  if (expected === found) return compare(original, model, job);
  job.context.onNotice(
    `no KL for ${model.path}: its logits are over ${found} tokens, those of ${original.path} over ${expected}`,
  );
  return { reference: undefined, model: await measureAlone(model, job) };
}

async function compare(original: PlacedModel, model: PlacedModel, job: Job): Promise<PairLosses> {
  const references: ShiftRun[] = [];
  const runs: ShiftRun[] = [];
  for (const shift of job.shifts) {
    const { windows, options, tell } = passOver(model.label, shift, job);
    const [expected, losses]: Float64Array[][] = [[], []];
    const [kl, changes]: WindowSum[][] = [[], []];
    for await (const window of compareModels(original.lm, model.lm, windows, options)) {
      expected!.push(window.referenceLosses);
      kl!.push(sumPositions(window.divergences));
      changes!.push(sumPositions(window.changes));
      tell(losses!.push(window.losses));
    }
    references.push({ shift, losses: expected! });
    runs.push({ shift, losses: losses!, divergence: { kl: kl!, changes: changes! } });
  }
  return {
    reference: describe(original.path, original.lm, references),
    model: describe(model.path, model.lm, runs),
  };
}

/** What one pass over the windows takes, and a function that is told how many are done. */
function passOver(label: string, shift: number, { windows, shifts, context }: Job) {
  const name = shifts.length > 1 ? `${label}, shift ${shift}` : label;
  const tell = (done: number) => context.onProgress({ label: name, done, total: windows.length });
  return { windows, options: { firstPosition: shift, signal: context.signal }, tell };
}

const describe = (path: string, lm: OpenedModel["lm"], runs: readonly ShiftRun[]): ModelLosses => ({
  path,
  cacheBytesPerToken: cacheBytesPerToken(lm.cacheLayout),
  runs,
});

/** The first model is its own judge: key tokens are those that it predicts by the long context. */
async function keyTokensOf(
  { lm, label }: PlacedModel,
  { runs }: ModelLosses,
  job: Job,
): Promise<Measurements["keyTokens"]> {
  if (job.shortContext === undefined) return undefined;
  const { windows, options, tell } = passOver(`${label}, short context`, 0, { ...job, shifts: [0] });
  const found: (readonly number[])[] = [];
  const short = shortContextLosses(lm, windows, { ...options, context: job.shortContext });
  for await (const losses of short) tell(found.push(findKeyTokens(runs[0]!.losses[found.length]!, losses)));
  return found;
}
