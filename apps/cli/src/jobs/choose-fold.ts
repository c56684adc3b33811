import type { StageMoments } from "@kvfold/calibration";
import { type planFold as plan, planFold, type StoredDtype } from "@kvfold/converter";
import { type Dtype, floatDtype, dtypes as graphDtypes } from "@kvfold/decoder";
import type { ComparedFold, Comparison } from "../goals/goal.js";
import { type CurvePoint, expectedLoss } from "../goals/loss-curve.js";
import { formatRise } from "../render/format.js";
import type { JobContext } from "./job.js";
import { type Candidate, keepOf } from "./measure-curves.js";
import { foldAndMeasure, type HeldText } from "./measured-fold.js";

/** A way to fold at one share of the cache. */
export interface Entrant extends Candidate {
  readonly keep: string;
  /** How much perplexity would rise. */
  readonly estimate: number;
}

/** A candidate at a share, or where `keep` is left out at one that it can fold to. */
export function entrantAt(candidate: Candidate, wanted: number, keep?: string): Entrant {
  const distance = ({ share }: CurvePoint) => Math.abs(share - wanted);
  const [nearest] = candidate.curve.toSorted((a, b) => distance(a) - distance(b));
  const { share, energy } = nearest!;
  return { ...candidate, keep: keep ?? keepOf(share), estimate: expectedLoss(energy, candidate.law) };
}

/** The chosen way to fold, and what it was chosen by. */
interface ChosenFold {
  readonly chosen: Entrant;
  readonly comparison: Comparison;
}

/**
 * How far the estimates of two ways to fold may be apart where the losses are not: energies stand for losses by the scales of one
 * small model, and on the others that were measured the methods keep their distance (docs/results.md).
 */
const HOPELESS = 4;

/** Windows of a short fold and of its measurement, at most; and the share of all that it takes at most. */
const SHORT_WINDOWS = 8;
const SHORT_SHARE = 1 / 4;
const LEAST_WINDOWS = 2;

export declare namespace chooseFold {
  interface Options
    extends Pick<foldAndMeasure.Options, "output" | "existing" | "work" | "text">,
      Omit<plan.Options, "keep"> {}
}

/**
 * Chooses the way to fold that loses least: those that their estimates leave a chance are folded on a few windows, and measured
 * on windows that are held out. Costs a fold of few windows for each, and nothing where one is left. Few windows make every
 * fold lose more, so the losses compare ways to fold and say nothing of shares.
 */
export async function chooseFold(
  entrants: readonly Entrant[],
  options: chooseFold.Options,
  context: JobContext,
): Promise<ChosenFold> {
  const least = Math.min(...entrants.map(({ estimate }) => estimate));
  const able = entrants.filter(({ estimate }) => estimate <= HOPELESS * least);
  const hopeless = entrants.filter((entrant) => !able.includes(entrant));
  for (const entrant of hopeless) context.onNotice(describeHopeless(compared(entrant, undefined, options)));
  const text = shortText(options.text);
  const losses =
    able.length > 1 ? await tryEach(able, { ...options, text }, context) : new Map<Entrant, number>();
  const ranked = [...able.toSorted((a, b) => losses.get(a)! - losses.get(b)!), ...hopeless];
  const [chosen] = ranked as [Entrant];
  const candidates = ranked.map((entrant) => compared(entrant, losses.get(entrant), options));
  return { chosen, comparison: { windows: text.fit.windows.length, candidates } };
}

/** A few windows of both parts. */
function shortText({ fit, heldOut, original }: HeldText): HeldText {
  const all = fit.windows.length;
  const count = Math.min(SHORT_WINDOWS, Math.max(LEAST_WINDOWS, Math.ceil(all * SHORT_SHARE)));
  return {
    fit: { ...fit, windows: fit.windows.slice(0, count) },
    heldOut: heldOut.slice(0, SHORT_WINDOWS),
    original: original.slice(0, SHORT_WINDOWS),
  };
}

async function tryEach(
  entrants: readonly Entrant[],
  options: chooseFold.Options,
  context: JobContext,
): Promise<ReadonlyMap<Entrant, number>> {
  const { windows } = options.text.fit;
  context.onNotice(
    `${entrants.length} short folds on ${windows.length} windows choose how to fold; the one that loses least is folded on all`,
  );
  const losses = new Map<Entrant, number>();
  const measured = new Map<unknown, readonly StageMoments[]>();
  for (const entrant of entrants) {
    const { method } = entrant.choice;
    const known = measured.get(method) ?? [];
    const { folder, ...tried } = await foldAndMeasure(
      { ...options, request: shortRequest(options, entrant), measured: known },
      context,
    );
    await folder.discard();
    measured.set(method, tried.measured);
    losses.set(entrant, tried.loss);
    context.onNotice(describeLoss(compared(entrant, tried.loss, options)));
  }
  return losses;
}

/** A fold to measure needs one graph of floats, whatever is written in the end. */
const shortRequest = ({ dtypes = [], ...options }: chooseFold.Options, entrant: Entrant): plan.Options => ({
  ...options,
  ...entrant.choice,
  keep: entrant.keep,
  formats: ["onnx"],
  dtypes: [floatDtype(dtypes.filter(isOfGraphs)) ?? "fp32"],
  cacheBits: undefined,
});

const isOfGraphs = (dtype: StoredDtype): dtype is Dtype => Object.hasOwn(graphDtypes, dtype);

function compared(
  { choice, keep: asked, estimate }: Entrant,
  loss: number | undefined,
  { work, ...options }: chooseFold.Options,
): ComparedFold {
  const plan = planFold(work.checkpoint.config, { ...options, ...choice, keep: asked });
  const { method, budget, keep } = plan;
  return { method, budget, keep, estimate, ...(loss === undefined ? {} : { loss }) };
}

const nameOf = ({ method, budget, keep }: ComparedFold): string =>
  `${method} with budget ${budget} at ${keep}`;

const describeLoss = (tried: ComparedFold): string =>
  `${nameOf(tried)}: perplexity rose by ${formatRise(tried.loss!)} in a short fold`;

const describeHopeless = (tried: ComparedFold): string =>
  `${nameOf(tried)}: not tried, since by its energies it would lose ${formatRise(tried.estimate)}, more than ${HOPELESS} times the least`;
