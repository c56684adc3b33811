import { shareOf } from "@kvfold/calibration";
import { loadBlock, loadEmbedding, loadHead, type ModelOutput } from "@kvfold/decoder";
import { type WindowEmbedding, windowEmbedding } from "@kvfold/decoder/graph";
import { throwIfAborted } from "@kvfold/runtime";
import { ConverterError } from "../converter-error.js";
import { isGradientTap, type Tap } from "../graph/taps.js";
import type { FinishedBlock, FoldJournal } from "../journal/fold-journal.js";
import type { Retained } from "../methods/retained.js";
import { requireSettled } from "../plan/require-settled.js";
import { inlineBlockMath } from "./block-math.js";
import { copyModel, keepsWeights } from "./copy-model.js";
import type { CalibrationText, FoldOptions, FoldReport } from "./fold-options.js";
import { countProgress, type ProgressCount } from "./progress.js";
import { knownMoments, requireGradients } from "./require-gradients.js";
import { runSchedule, type ScheduleEvents, type Solving } from "./run-schedule.js";
import { type FoldSchedule, foldSchedule, type ScheduleFacts, stepsOf } from "./schedule.js";
import { scheduleSize } from "./schedule-size.js";
import { withText } from "./schedule-text.js";
import { runsGraph } from "./step.js";
import type { Stream } from "./stream.js";
import { type TextShare, textShare } from "./text-share.js";

export declare namespace foldModel {
  type Options = FoldOptions;
  type Report = FoldReport;
}

/**
 * Folds a checkpoint by its plan, a block at a time: load, run over the calibration windows, choose bases, fold, heal,
 * hand to the outputs, drop (docs/method.md, Block by block). Memory is two blocks (the next one is measured while the
 * last refit of this one is solved) and the hidden states, whatever the model's size.
 *
 * @throws {ConverterError} `insufficient-data` when the plan needs calibration and neither windows nor moments are
 * given, `invalid-option` when its budget is not settled, `unusable-journal` when `onMoments` is given and the journal
 * was kept without.
 * @throws {CalibrationError} `too-few-tokens` when an exchange has more shards than there are windows.
 * @throws {RuntimeError} `aborted` when `signal` fires.
 *
 * Whatever it throws, all outputs are abandoned.
 */
export async function foldModel(options: foldModel.Options): Promise<foldModel.Report> {
  const { outputs, plan } = options;
  if (plan.settled && keepsWeights(plan)) return copyModel(options);
  try {
    return await foldInto(outputs, options);
  } catch (error) {
    // One that fails to close must neither hide what went wrong nor keep the others open.
    await Promise.allSettled(outputs.map((output) => output.abandon()));
    throw error;
  }
}

async function foldInto(outputs: readonly ModelOutput[], options: FoldOptions): Promise<FoldReport> {
  const { checkpoint, plan, journal, exchange, windows = [], signal } = options;
  requireSettled(plan);
  requireGradients(options);
  const schedule = foldSchedule(scheduleFacts(options), journal?.blocks ?? 0);
  const share = textShare(windows, exchange?.shard);
  const text = findText(schedule, { ...options, ...share });
  const onMoments = findListener(options);
  const embedding = await beginOutputs({ ...options, ...share });
  const retained: Retained[] = [];
  const addBlock = async (finished: FinishedBlock) => {
    for (const output of outputs) await output.addBlock(finished.block);
    retained.push(finished.retained);
  };
  if (journal !== undefined) await replayBlocks(journal, { addBlock, onMoments, signal });
  await foldBlocks({ schedule, text, embedding, addBlock, onMoments }, options);
  const head = await loadHead(checkpoint);
  for (const output of outputs) await output.finish(head);
  return { retained };
}

/** Hands the embedding to the outputs and keeps of it what the calibration text reads: it is large. */
async function beginOutputs({
  checkpoint,
  outputs,
  windows = [],
}: Pick<FoldOptions, "checkpoint" | "outputs" | "windows">): Promise<WindowEmbedding> {
  const embedding = await loadEmbedding(checkpoint);
  for (const output of outputs) await output.begin(embedding);
  return windowEmbedding({ config: checkpoint.config, embedding, windows });
}

const scheduleFacts = ({
  checkpoint,
  plan,
  moments,
  attention,
}: Pick<FoldOptions, "checkpoint" | "plan" | "moments" | "attention">): ScheduleFacts => ({
  blocks: checkpoint.config.blocks,
  heal: plan.heal,
  taps: measuredTaps({ plan, moments }).filter((tap) => !(tap in (attention?.[0] ?? {}))),
});

/** What is measured as the blocks are folded: not gradients, which are known or missing. */
const measuredTaps = ({ plan, moments }: Pick<FoldOptions, "plan" | "moments">): readonly Tap[] =>
  moments === undefined ? plan.taps.filter((tap) => !isGradientTap(tap)) : [];

type SharedText = CalibrationText & TextShare;

/** The text that a schedule's graphs run on; none where it has no graphs. */
function findText(
  schedule: FoldSchedule,
  {
    plan,
    provider,
    windows,
    first,
    hiddenStates,
  }: Pick<FoldOptions, "plan" | keyof CalibrationText> & TextShare,
): SharedText | undefined {
  if (!stepsOf(schedule).some(runsGraph)) return undefined;
  if (windows.length > 0 && provider !== undefined) return { provider, windows, first, hiddenStates };
  const purpose =
    plan.heal === "none" ? `method ${plan.method}` : `method ${plan.method} with heal ${plan.heal}`;
  throw new ConverterError("insufficient-data", `${purpose} needs calibration text; give token windows`);
}

type MomentListener = FoldOptions["onMoments"];

/** Who sees the moments of each layer; nobody where none are measured. A journal must have kept those of its blocks. */
function findListener({
  plan,
  moments,
  onMoments,
  journal,
}: Pick<FoldOptions, "plan" | "moments" | "onMoments" | "journal">): MomentListener {
  if (measuredTaps({ plan, moments }).length === 0 || onMoments === undefined) return undefined;
  if (journal === undefined || journal.hasMoments) return onMoments;
  throw new ConverterError(
    "unusable-journal",
    `${journal.name} was kept without the moments of its blocks; go on without keeping moments, or remove it to start over`,
  );
}

/** Where finished blocks go, and their moments. */
interface BlockReceiver {
  readonly addBlock: (finished: FinishedBlock) => Promise<void>;
  readonly onMoments: MomentListener;
}

/** Hands on what earlier runs finished, as if it had just been folded. */
async function replayBlocks(
  journal: FoldJournal,
  { addBlock, onMoments, signal }: BlockReceiver & Pick<FoldOptions, "signal">,
): Promise<void> {
  for (let layer = 0; layer < journal.blocks; layer++) {
    throwIfAborted(signal);
    const finished = await journal.readBlock(layer);
    if (finished.moments !== undefined) onMoments?.(layer, finished.moments);
    await addBlock(finished);
  }
}

interface BlockWork extends BlockReceiver {
  readonly schedule: FoldSchedule;
  readonly text: SharedText | undefined;
  readonly embedding: WindowEmbedding;
}

/** Works through the schedule; each finished block goes to the outputs, then into the journal. */
async function foldBlocks(work: BlockWork, options: FoldOptions): Promise<void> {
  const { schedule, text, embedding } = work;
  const { checkpoint, journal, onProgress, signal } = options;
  const { config } = checkpoint;
  const { windows, first } = text ?? { windows: [], first: 0 };
  const size = scheduleSize(scheduleFacts(options), journal?.blocks ?? 0, windows.length, first);
  const progress = countProgress(size, onProgress);
  const run = {
    config,
    loadBlock: (layer: number) => loadBlock(checkpoint, layer),
    knownMoments: (layer: number) => knownMoments(options, layer),
    solving: solvingOf(options),
    share: sharing(options),
    events: eventsOf(work, progress, options),
    progress,
    signal,
  };
  if (text === undefined) return runSchedule(schedule, { ...run, text });
  const windowRun = { ...text, onWindow: () => progress.window(), signal };
  await withText(schedule, windowRun, { config, embedding, journal }, (opened) =>
    runSchedule(schedule, { ...run, text: opened }),
  );
}

/** Sums are complete once those of all shards are added. */
function sharing({ exchange }: Pick<FoldOptions, "exchange">): runSchedule.Options["share"] {
  return exchange && ((place) => shareOf(exchange, place));
}

/** Tokens are those of the whole text. */
const solvingOf = ({
  plan,
  math = inlineBlockMath,
  windows = [],
}: Pick<FoldOptions, "plan" | "math" | "windows">): Solving => ({
  plan,
  math,
  tokens: windows.length * (windows[0]?.length ?? 0),
});

function eventsOf(
  { addBlock, onMoments }: BlockReceiver,
  progress: ProgressCount,
  { journal, exchange, plan }: Pick<FoldOptions, "journal" | "exchange" | "plan">,
): ScheduleEvents {
  const isResumable = ({ place, layer }: Stream) => place === "before" && layer < plan.layers.length;
  return {
    onMeasured: (layer, moments) => onMoments?.(layer, moments),
    async onStream(stream, states) {
      if (isResumable(stream)) await journal?.saveStream(stream.layer - 1, stream.model, states);
    },
    async onBlock(layer, { moments, ...finished }) {
      await addBlock(finished);
      await journal?.saveBlock(layer, { ...finished, moments: onMoments && moments });
      await exchange?.finish(layer);
      progress.block(layer);
    },
  };
}
