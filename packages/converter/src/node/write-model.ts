import type { ShardExchange, StageMoments } from "@kvfold/calibration";
import { directorySource, directoryTarget } from "@kvfold/decoder/node";
import { plainProducts } from "@kvfold/linalg";
import { allocateBudget } from "../budgets/allocate-budget.js";
import { ConverterError } from "../converter-error.js";
import { createBlockMath } from "../fold/block-math.js";
import { foldModel } from "../fold/fold-model.js";
import { createKnownAttention } from "../fold/known-attention.js";
import { planLossMoments } from "../fold/loss-moments.js";
import { writeFiles } from "../output/write-files.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { roundsToFourBits } from "../plan/stored-dtype.js";
import type { FolderJournal } from "./folder-journal.js";
import { isFirst } from "./is-first.js";

export declare namespace writeModel {
  interface Options
    extends Omit<writeFiles.Options, "source" | "target" | "gradients" | "attention">,
      Pick<allocateBudget.Options, "methods" | "budgets" | "onBudget">,
      Pick<planLossMoments.Options, "onGradients"> {
    /** Its budget need not be settled. */
    readonly plan: FoldPlan;
    /** The checkpoint's folder, for tokenizer files. */
    readonly from: string;
    /** An empty folder to write to. */
    readonly to: string;
    /** Of this fold; its settled plan and its gradients, where it has them, are not measured again. */
    readonly journal?: FolderJournal | undefined;
  }
  type Report = writeFiles.Report;
}

/**
 * Measures gradients where the plan weighs errors by the loss and `moments` are not given, settles the plan's budget, and folds
 * from a directory on disk to another: `lossMoments`, `allocateBudget` and `writeFiles`. With `math` given, that must know the
 * plan's method where it is one of one's own.
 *
 * With an exchange, the first shard alone settles the budget and writes the files; the others fold along, and write none.
 *
 * @throws {ConverterError} `invalid-option` when weights of four bits are to be fitted to a text that shards share.
 */
export async function writeModel({ from, to, ...options }: writeModel.Options): Promise<writeModel.Report> {
  const { exchange, methods, math = createBlockMath(plainProducts, { methods }) } = options;
  requireShareable(options);
  const gradients = options.moments === undefined ? await findGradients(options) : undefined;
  const { taps } = options.plan;
  const known = createKnownAttention(taps, options.checkpoint.config.shape);
  const plan = await settlePlan({
    ...options,
    moments: options.moments ?? gradients,
    onAttention: known.keep,
  });
  // Shards share what is measured: each must measure its part.
  const attention = exchange === undefined ? known.layers() : undefined;
  if (!isFirst(exchange?.shard))
    return { plan, ...(await foldModel({ ...options, gradients, plan, math, outputs: [] })) };
  const source = await directorySource(from);
  return writeFiles({ ...options, gradients, attention, plan, math, source, target: directoryTarget(to) });
}

/** Rounding is fitted to the text in the outputs, which only one shard has. */
function requireShareable({ exchange, plan }: Pick<writeModel.Options, "exchange" | "plan">): void {
  if (exchange === undefined || !roundsToFourBits(plan)) return;
  throw new ConverterError(
    "invalid-option",
    "dtypes: weights of four bits are fitted to the whole text, which shards do not have; leave out q4, or fold on one machine",
    { option: "dtypes" },
  );
}

/**
 * A budget looks at a few windows of the text, most often 16, so the first shard runs these by itself. All shards go by its plan:
 * machines that round otherwise could come to another one.
 */
async function settleOnce(
  exchange: ShardExchange | undefined,
  options: allocateBudget.Options,
): Promise<FoldPlan> {
  if (exchange === undefined || options.plan.settled) return allocateBudget(options);
  return exchange.settled("plan", () => allocateBudget(options));
}

/** The gradients that an earlier run measured, or those of this one, which are kept for the next. */
async function findGradients({
  journal,
  ...options
}: Omit<writeModel.Options, "from" | "to">): Promise<readonly StageMoments[] | undefined> {
  const kept = await journal?.readGradients();
  if (kept !== undefined) return kept;
  const gradients = await planLossMoments(options);
  if (gradients !== undefined) await journal?.saveGradients(gradients);
  return gradients;
}

async function settlePlan({
  journal,
  ...options
}: Omit<writeModel.Options, "from" | "to"> & Pick<allocateBudget.Options, "onAttention">): Promise<FoldPlan> {
  const asked = journal?.plan ?? options.plan;
  const plan = await settleOnce(options.exchange, { ...options, plan: asked });
  if (plan !== asked) await journal?.savePlan(plan);
  return plan;
}
