import type { StageMoments } from "@kvfold/calibration";
import { directorySource, directoryTarget } from "@kvfold/decoder/node";
import { plainProducts } from "@kvfold/linalg";
import { allocateBudget } from "../budgets/allocate-budget.js";
import { createBlockMath } from "../fold/block-math.js";
import { planLossMoments } from "../fold/loss-moments.js";
import { writeFiles } from "../output/write-files.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import type { FolderJournal } from "./folder-journal.js";

export declare namespace writeModel {
  interface Options
    extends Omit<writeFiles.Options, "source" | "target" | "gradients">,
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
 */
export async function writeModel({ from, to, ...options }: writeModel.Options): Promise<writeModel.Report> {
  const { methods, math = createBlockMath(plainProducts, { methods }) } = options;
  const gradients = options.moments === undefined ? await findGradients(options) : undefined;
  const plan = await settlePlan({ ...options, moments: options.moments ?? gradients });
  const source = await directorySource(from);
  return writeFiles({ ...options, gradients, plan, math, source, target: directoryTarget(to) });
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
}: Omit<writeModel.Options, "from" | "to">): Promise<FoldPlan> {
  const asked = journal?.plan ?? options.plan;
  const plan = await allocateBudget({ ...options, plan: asked });
  if (plan !== asked) await journal?.savePlan(plan);
  return plan;
}
