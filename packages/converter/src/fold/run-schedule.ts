import type { HiddenStates, StageMoments, StageResult, StageShare, SumPlace } from "@kvfold/calibration";
import type { BlockWeights, ModelConfig } from "@kvfold/decoder";
import { type AbortSignalLike, throwIfAborted } from "@kvfold/runtime";
import type { FinishedBlock } from "../journal/fold-journal.js";
import { inBackground } from "./background.js";
import type { ProgressCount } from "./progress.js";
import type { FoldSchedule } from "./schedule.js";
import type { ScheduleText } from "./schedule-text.js";
import { type FoldedBlock, type GraphStep, runsGraph, type SolveInput, type Step, writesOf } from "./step.js";
import { type Stream, streamWidth } from "./stream.js";

export declare namespace runSchedule {
  interface Options {
    readonly config: ModelConfig;
    readonly loadBlock: (layer: number) => Promise<BlockWeights>;
    /** Moments of a block that were measured before. */
    readonly knownMoments: (layer: number) => StageMoments;
    readonly solving: Solving;
    /** A schedule without graphs needs none. */
    readonly text: ScheduleText | undefined;
    /** How a step's sums are completed, where the text is but a share of one; they are complete already without. */
    readonly share?: ((place: SumPlace) => StageShare) | undefined;
    readonly events: ScheduleEvents;
    readonly progress: ProgressCount;
    readonly signal: AbortSignalLike | undefined;
  }
}

/** What all solves of a fold have in common. */
export type Solving = Pick<SolveInput, "plan" | "math" | "tokens">;

/** Who is told of results, when they are there. */
export interface ScheduleEvents {
  /** A block's measurements are complete. */
  readonly onMeasured: (layer: number, moments: StageMoments) => void;
  /** A step has written a stream. */
  readonly onStream: (stream: Stream, states: HiddenStates) => Promise<void>;
  /** A block is folded and healed. The block after it waits. */
  readonly onBlock: (layer: number, block: FinishedBlock) => Promise<void>;
}

/** A block that steps work on. */
interface BlockWork {
  readonly original: BlockWeights;
  moments: StageMoments;
  /** As it is once all solves so far are done. */
  folded: Promise<FoldedBlock>;
}

/**
 * Works through a schedule. Graphs run one at a time, in order. A solve starts when its step's graph is done and goes on
 * while further graphs run; a graph with folded weights waits for all solves of its block before it. A solve of the
 * next block waits for those of this one where linear algebra takes a layer at a time. In memory: the weights of a block and
 * of the next one, and the streams that are still to be read.
 *
 * @throws {RuntimeError} `aborted` when `signal` fires, and what graphs, solves and events throw. Solves that are on their
 * way then go on unobserved.
 */
export async function runSchedule(schedule: FoldSchedule, options: runSchedule.Options): Promise<void> {
  const { events, signal } = options;
  const works = new Map<number, Promise<BlockWork>>();
  const workOn = (layer: number) => {
    const work = works.get(layer) ?? inBackground(startWork(layer, options));
    works.set(layer, work);
    return work;
  };
  const last = schedule.blocks.at(-1)?.layer ?? -1;
  const perform = async (step: Step) => {
    const stepWork = { work: await workOn(step.layer), before: await works.get(step.layer - 1) };
    // The next block is read while this thread has nothing to do but to wait for a solve.
    if (step.run?.weights === "folded" && step.layer < last) void workOn(step.layer + 1);
    await performStep(step, stepWork, options);
  };
  for (const step of schedule.opening) await perform(step);
  for (const { layer, steps } of schedule.blocks) {
    throwIfAborted(signal);
    const work = await workOn(layer);
    events.onMeasured(layer, work.moments);
    for (const step of steps) await perform(step);
    works.delete(layer);
    await events.onBlock(layer, await finishedBlock(work));
  }
}

async function startWork(
  layer: number,
  { loadBlock, knownMoments }: runSchedule.Options,
): Promise<BlockWork> {
  const original = await loadBlock(layer);
  const folded = Promise.resolve({ weights: original, retained: { keys: [], values: [] } });
  return { original, moments: knownMoments(layer), folded };
}

async function finishedBlock({ folded, moments }: BlockWork): Promise<FinishedBlock> {
  const { weights, retained } = await folded;
  return { block: weights, retained, moments };
}

/** The block of a step, and the one before it if that is not finished. */
interface StepWork {
  readonly work: BlockWork;
  readonly before: BlockWork | undefined;
}

async function performStep(
  step: Step,
  { work, before }: StepWork,
  options: runSchedule.Options,
): Promise<void> {
  const { layer, run, solve } = step;
  options.progress.start(step.phase, layer);
  const sums = runsGraph(step) ? await runGraph(step, work, options) : NO_SUMS;
  if (run?.taps !== undefined) work.moments = { ...work.moments, ...sums.moments };
  if (solve === undefined) return;
  const input: SolveInput = { ...options.solving, layer, sums, moments: work.moments };
  const turn = solvesAtOnce(options) > 1 ? undefined : before?.folded;
  work.folded = inBackground(Promise.all([work.folded, turn]).then(([block]) => solve(block, input)));
}

/** Blocks whose solves may go on at once: each takes memory, and a single thread would only take turns. */
const solvesAtOnce = ({ solving: { math } }: runSchedule.Options): number => math.layersAtOnce ?? 1;

const NO_SUMS: StageResult = { moments: {}, crosses: {} };

async function runGraph(
  step: GraphStep,
  { original, folded }: BlockWork,
  { config, solving, text, events, share }: runSchedule.Options,
): Promise<StageResult> {
  const { run, layer, name } = step;
  const { runner, streams } = text!;
  const { weights, directions } =
    run.weights === "folded" ? await folded : { weights: original, directions: undefined };
  const outputs = Object.keys(run.writes);
  const { bias } = solving.plan;
  const window = { config, weights, length: runner.length };
  const { model, ...sums } = run.graph({ ...window, outputs, directions, bias });
  const widthOf = (stream: Stream) => streamWidth(stream, weights);
  const { limit } = run;
  const shared = share?.({ layer, step: name });
  const result = await streams.use(step, widthOf, (used) =>
    runner.run(model, { ...used, ...sums, share: shared, ...(limit === undefined ? {} : { limit }) }),
  );
  for (const stream of writesOf(step)) await events.onStream(stream, streams.get(stream));
  return result;
}
