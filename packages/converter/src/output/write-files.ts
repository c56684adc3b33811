import type { Checkpoint, FolderSource, ModelOutput } from "@kvfold/decoder";
import { checkpointOutput, floatDtype, type ModelTarget, onnxOutput, writeBytes } from "@kvfold/decoder";
import { plainProducts } from "@kvfold/linalg";
import { allocateBudget } from "../budgets/allocate-budget.js";
import { ConverterError } from "../converter-error.js";
import { createBlockMath } from "../fold/block-math.js";
import { foldModel } from "../fold/fold-model.js";
import type { FoldJournal } from "../journal/fold-journal.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { outputConfig } from "./output-config.js";
import { RECORD_FILE } from "./record-file.js";

/** Files of a checkpoint that go into the output unchanged, where they exist. */
const COMPANIONS = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "generation_config.json",
  "chat_template.jinja",
  "vocab.json",
  "merges.txt",
];

/** A journal that also keeps the plan its budget settled. */
export interface PlanJournal extends FoldJournal {
  readonly plan: FoldPlan | undefined;
  savePlan(plan: FoldPlan): Promise<void>;
}

export declare namespace writeFiles {
  interface Options extends Omit<foldModel.Options, "outputs"> {
    /** The checkpoint's folder, for tokenizer files. */
    readonly source: FolderSource;
    /** An empty folder to write to. */
    readonly target: ModelTarget;
    /** Methods and budgets of one's own that the plan names; with `math` given, it must know the methods too. */
    readonly methods?: allocateBudget.Options["methods"];
    readonly budgets?: allocateBudget.Options["budgets"];
    /** Goes into `kvfold.json` beside the plan: what was done, with what, and figures. */
    readonly record?: (report: Report) => Readonly<Record<string, unknown>>;
    readonly onBudget?: allocateBudget.Options["onBudget"];
    /** Of this fold; its settled plan, where it has one, spares the budget's measurements. */
    readonly journal?: PlanJournal | undefined;
  }
  interface Report extends foldModel.Report {
    /** The plan that was carried out, with the layers that its budget gave. */
    readonly plan: FoldPlan;
  }
}

/**
 * Settles the plan's budget and folds a checkpoint into the files of a folder: for format `onnx` what transformers.js
 * and ONNX Runtime load (`config.json`, tokenizer files, `onnx/model*.onnx` with external data), for format `hf` a
 * checkpoint (`config.json`, tokenizer files, `model.safetensors`), and `kvfold.json` for both. With both formats the
 * checkpoint lies in `hf/`, since its `config.json` differs.
 *
 * @throws {ConverterError} `invalid-option` when the plan has format `hf` and the target takes no checkpoints; and as
 * `foldModel`.
 */
export async function writeFiles(options: writeFiles.Options): Promise<writeFiles.Report> {
  const { checkpoint, source, target, record, methods } = options;
  const plan = await settlePlan(options);
  const formats = await openFormats(checkpoint, plan, target);
  const outputs = formats.flatMap((format) => format.outputs);
  const math = options.math ?? createBlockMath(plainProducts, { methods });
  const report = { plan, ...(await foldModel({ ...options, plan, outputs, math })) };
  for (const { folder, config } of formats) {
    await writeJson(target, `${folder}config.json`, config());
    await copyCompanions(source, target, folder);
  }
  await writeJson(target, RECORD_FILE, { format: "kvfold-1", plan, ...record?.(report) });
  return report;
}

async function settlePlan(options: writeFiles.Options): Promise<FoldPlan> {
  const { journal } = options;
  const asked = journal?.plan ?? options.plan;
  const plan = await allocateBudget({ ...options, plan: asked });
  if (plan !== asked) await journal?.savePlan(plan);
  return plan;
}

/** A format's files in their folder, and its config once they are complete. */
interface OpenFormat {
  readonly folder: string;
  readonly outputs: readonly ModelOutput[];
  readonly config: () => Record<string, unknown>;
}

/** Opens all formats, or leaves none open. */
async function openFormats(
  checkpoint: Checkpoint,
  plan: FoldPlan,
  target: ModelTarget,
): Promise<readonly OpenFormat[]> {
  const opened: OpenFormat[] = [];
  try {
    for (const format of plan.formats) opened.push(await openFormat(format, checkpoint, plan, target));
    return opened;
  } catch (error) {
    const outputs = opened.flatMap((format) => format.outputs);
    await Promise.allSettled(outputs.map((output) => output.abandon()));
    throw error;
  }
}

async function openFormat(
  format: FoldPlan["formats"][number],
  checkpoint: Checkpoint,
  plan: FoldPlan,
  target: ModelTarget,
): Promise<OpenFormat> {
  const { config } = checkpoint;
  if (format === "onnx") {
    const outputs = onnxOutputs(checkpoint, plan, target);
    return { folder: "", outputs, config: () => outputConfig(config, plan, outputs) };
  }
  const folder = plan.formats.length > 1 ? "hf/" : "";
  const dtype = floatDtype(plan.dtypes) === "fp16" ? "F16" : "F32";
  const output = checkpointOutput(config, await openTensors(target, `${folder}model.safetensors`, dtype));
  const torchType = dtype === "F16" ? "float16" : "float32";
  return { folder, outputs: [output], config: () => ({ ...output.config(), torch_dtype: torchType }) };
}

async function openTensors(target: ModelTarget, path: string, dtype: "F32" | "F16") {
  if (target.openTensors !== undefined) return target.openTensors(path, dtype);
  throw new ConverterError(
    "invalid-option",
    `${path}: no checkpoint can be written here; choose format onnx`,
  );
}

const onnxOutputs = (checkpoint: Checkpoint, plan: FoldPlan, target: ModelTarget) =>
  plan.dtypes.map((dtype) =>
    onnxOutput({
      config: checkpoint.config,
      attention: plan.attention,
      maxPositions: plan.maxPositions,
      dtype,
      open: (fileName) => target.open(`onnx/${fileName}`),
      metadata: { kvfold: `method ${plan.method}, keep ${plan.keep}` },
    }),
  );

const writeJson = (target: ModelTarget, path: string, value: unknown): Promise<void> =>
  writeBytes(target, path, new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`));

async function copyCompanions(source: FolderSource, target: ModelTarget, folder: string): Promise<void> {
  for (const file of COMPANIONS) {
    const bytes = await source.openBytes(file);
    if (bytes === undefined) continue;
    try {
      await writeBytes(target, `${folder}${file}`, await bytes.read(0, bytes.byteLength));
    } finally {
      await bytes.close?.();
    }
  }
}
