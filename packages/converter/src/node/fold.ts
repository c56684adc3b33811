import { basename, resolve } from "node:path";
import type { Shard, ShardExchange } from "@kvfold/calibration";
import { spillingHiddenStates } from "@kvfold/calibration/node";
import { type Checkpoint, openWeights } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import type { AbortSignalLike, SessionProvider } from "@kvfold/runtime";
import type { BudgetProgress } from "../budgets/allocate-budget.js";
import type { Budget } from "../budgets/budget.js";
import { findBudget } from "../budgets/index.js";
import { ConverterError } from "../converter-error.js";
import type { BlockMath } from "../fold/block-math.js";
import type { GradientProgress } from "../fold/loss-moments.js";
import type { FoldProgress } from "../fold/progress.js";
import { findMethod } from "../methods/index.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { planFold } from "../plan/plan-fold.js";
import { planRequest } from "../plan/plan-request.js";
import { roundsToFourBits } from "../plan/stored-dtype.js";
import {
  type CalibrationText,
  DEFAULT_WINDOW_LENGTH,
  readCalibrationText,
  type TextSource,
} from "./calibration-text.js";
import { defaultProvider } from "./default-provider.js";
import { type FolderExchange, openExchange } from "./folder-exchange.js";
import { isFirst } from "./is-first.js";
import type { createPendingFolder } from "./model-folder.js";
import { requireApart } from "./require-apart.js";
import { shardPlace } from "./shard-place.js";
import { withMath } from "./with-math.js";
import { withPassingFolder, withPendingFolder } from "./with-pending-folder.js";
import { writeModel } from "./write-model.js";

export declare namespace fold {
  interface Options extends planFold.Options {
    /** Name of a budget, or a budget of one's own; the method's own without it, for most methods `uniform`. */
    readonly budget?: string | Budget | undefined;
    /** Folder of a Hugging Face checkpoint, or of a decoder graph that another tool wrote: see `openWeights`. */
    readonly from: string;
    /** The graph in that folder to read, such as `onnx/model_q4.onnx`; without it a checkpoint, or the most exact graph. */
    readonly graph?: string | undefined;
    /** Folder of the folded model. It appears complete or not at all. */
    readonly to: string;
    /** What to do when there is something at `to`; `refuse` without it. */
    readonly existing?: createPendingFolder.Options["existing"];
    /**
     * Text like that which the model is for, about 1 MB: a path or URL of a UTF-8 file, `{ content }`, or several. Read
     * only where the plan needs text, or writes four bits, which are fitted to it; the tokenizer is the one in `from`.
     */
    readonly text?: TextSource | readonly TextSource[] | undefined;
    /** Windows to cut the text into; without it as many as there are, at most 128. */
    readonly windowCount?: number | undefined;
    /** Tokens of a window; without it 1024, or the model's context where that is shorter. */
    readonly windowLength?: number | undefined;
    /** Token ids in place of text: windows of one length. */
    readonly windows?: readonly Int32Array[] | undefined;
    /**
     * The part of the windows that this process runs, where several fold together: all with the same options but this, and an
     * `exchange`. The first of them writes `to`.
     */
    readonly shard?: Shard | undefined;
    /** How they exchange their sums: a folder that all see, empty at first, or a transport of one's own. */
    readonly exchange?: string | ShardExchange | undefined;
    /** How long to wait for the part of another shard in a folder, an hour unless given. */
    readonly exchangeTimeoutSeconds?: number | undefined;
    /** Runs the model; ONNX Runtime for Node (`@kvfold/runtime-node`) without it. */
    readonly provider?: SessionProvider | undefined;
    /**
     * Where the linear algebra runs. Without it in a thread of its own; in the caller's for a method of one's own, which
     * another thread does not know (see `serveBlockMath`).
     */
    readonly math?: BlockMath | undefined;
    readonly onProgress?: ((progress: FoldProgress) => void) | undefined;
    readonly onBudget?: ((progress: BudgetProgress) => void) | undefined;
    /** Told of the backward pass that metric `loss` takes, before anything else is done. */
    readonly onGradients?: ((progress: GradientProgress) => void) | undefined;
    readonly signal?: AbortSignalLike | undefined;
  }
  type Report = writeModel.Report;
}

/**
 * Folds a checkpoint from one folder into another: opens it, plans, reads the text, folds and writes. All of these steps
 * are exported (`planFold`, `createPendingFolder`, `writeModel`, …), for those who want other ones between them.
 *
 * @throws {ConverterError} `invalid-option` and `insufficient-data`, with the option in `option`; `output-exists`;
 * `unusable-exchange` and `shard-missing`, as `openExchange`.
 * @throws {DecoderError} `malformed-checkpoint` and `unsupported-model`.
 * @throws {RuntimeError} `aborted` when `signal` fires; nothing is left behind.
 * @example
 * ```ts no-run
 * import { fold } from "@kvfold/converter/node";
 *
 * const { plan } = await fold({ from: "model", to: "model-quarter", keep: "1/4", text: "book.txt" });
 * ```
 */
export async function fold(options: fold.Options): Promise<fold.Report> {
  const { from, graph, to, existing = "refuse", signal } = options;
  requireExchange(options);
  await requireApart(from, to);
  const checkpoint = await openWeights(await directorySource(from), { graph });
  try {
    const plan = planFold(checkpoint.config, { ...options, window: windowOf(options) });
    const shard = shardOf(options);
    const within = isFirst(shard) ? withPendingFolder : withPassingFolder;
    return await within(shardPlace(to, shard), { existing, signal }, (path) =>
      writeFolded(options, checkpoint, plan, path),
    );
  } finally {
    await checkpoint.close();
  }
}

const shardOf = ({ shard, exchange }: fold.Options): Shard | undefined =>
  typeof exchange === "object" ? exchange.shard : shard;

function requireExchange({ shard, exchange }: fold.Options): void {
  if (typeof exchange === "object" || (shard === undefined) === (exchange === undefined)) return;
  const [given, missing] = shard === undefined ? ["exchange", "shard"] : ["shard", "exchange"];
  throw new ConverterError("invalid-option", `${given} needs ${missing}, too: give both, or neither`, {
    option: given,
  });
}

/** Tokens of a calibration window. */
const windowOf = ({ windows, windowLength = DEFAULT_WINDOW_LENGTH }: fold.Options): number =>
  windows?.[0]?.length ?? windowLength;

/** What is one's own of the options that plans hold by name. */
function ownParts({ method, budget }: fold.Options) {
  return {
    methods: typeof method === "object" ? [method] : [],
    budgets: typeof budget === "object" ? [budget] : [],
  };
}

async function writeFolded(
  options: fold.Options,
  checkpoint: Checkpoint,
  plan: FoldPlan,
  to: string,
): Promise<fold.Report> {
  const { from, math: given, onProgress, onBudget, onGradients, signal } = options;
  const { methods, budgets } = ownParts(options);
  const needs = plan.taps.length > 0 || plan.heal !== "none" || findBudget(plan.budget, budgets).needsText;
  const hasText = options.text !== undefined || options.windows !== undefined;
  const runs = needs || (hasText && roundsToFourBits(plan));
  const text = runs ? await findText(options, checkpoint, plan) : undefined;
  const provider = runs ? (options.provider ?? (await defaultProvider())) : undefined;
  const hiddenStates = spillingHiddenStates({ folder: to });
  const record = ({ retained }: fold.Report) => ({
    model: basename(resolve(from)),
    request: planRequest(options),
    created: new Date().toISOString(),
    reference: findMethod(plan.method, methods).reference,
    calibration: text?.summary ?? null,
    retained,
  });
  const parts = {
    checkpoint,
    plan,
    methods,
    budgets,
    provider,
    windows: text?.windows,
    hiddenStates,
    record,
  };
  return withExchange(options, { checkpoint, plan, windows: text?.windows, signal }, (exchange) =>
    withMath({ math: given, methods, signal }, (math) =>
      writeModel({ ...parts, exchange, math, from, to, onProgress, onBudget, onGradients, signal }),
    ),
  );
}

/** Runs `work` with the exchange that is given, or with one through the folder that is. */
async function withExchange<T>(
  { shard, exchange, exchangeTimeoutSeconds: timeoutSeconds }: fold.Options,
  about: Pick<openExchange.Options, "checkpoint" | "plan" | "windows" | "signal">,
  work: (exchange: ShardExchange | undefined) => Promise<T>,
): Promise<T> {
  if (typeof exchange !== "string" || shard === undefined) return work(exchange as ShardExchange | undefined);
  const opened: FolderExchange = await openExchange({
    ...about,
    folder: exchange,
    shard,
    timeoutSeconds,
    version: "none",
  });
  try {
    const result = await work(opened);
    await opened.end();
    return result;
  } finally {
    await opened.close();
  }
}

async function findText(
  { from, text, windows, windowCount, windowLength, signal }: fold.Options,
  { config }: Checkpoint,
  { method, heal, budget }: FoldPlan,
): Promise<CalibrationText> {
  if (windows !== undefined)
    return { windows, summary: { windows: windows.length, window: windows[0]?.length } };
  if (text !== undefined) {
    const sources = [text].flat();
    return readCalibrationText({ folder: from, config, sources, windowCount, windowLength, signal });
  }
  throw new ConverterError(
    "insufficient-data",
    `text is missing: method ${method} with heal ${heal} and budget ${budget} runs the model on some; give about 1 MB of what the model is for, or choose method svd-w, which needs none`,
    { option: "text" },
  );
}
