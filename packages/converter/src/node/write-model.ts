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
    extends Omit<writeFiles.Options, "source" | "target">,
      Pick<allocateBudget.Options, "methods" | "budgets" | "onBudget"> {
    /** Its budget need not be settled. */
    readonly plan: FoldPlan;
    /** The checkpoint's folder, for tokenizer files. */
    readonly from: string;
    /** An empty folder to write to. */
    readonly to: string;
    /** Of this fold; its settled plan, where it has one, spares the budget's measurements. */
    readonly journal?: FolderJournal | undefined;
  }
  type Report = writeFiles.Report;
}

/**
 * Settles the plan's budget and folds from a directory on disk to another: `allocateBudget` and `writeFiles`. With `math`
 * given, that must know the plan's method where it is one of one's own.
 */
export async function writeModel({ from, to, ...options }: writeModel.Options): Promise<writeModel.Report> {
  const { methods, math = createBlockMath(plainProducts, { methods }) } = options;
  const gradients = options.moments === undefined ? await planLossMoments(options) : undefined;
  const plan = await settlePlan({ ...options, moments: options.moments ?? gradients });
  const source = await directorySource(from);
  return writeFiles({ ...options, gradients, plan, math, source, target: directoryTarget(to) });
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
