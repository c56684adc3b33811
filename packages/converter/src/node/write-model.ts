import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileSink } from "@kvfold/onnx/node";
import { allocateBudget } from "../budgets/allocate-budget.js";
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { foldModel, type ModelOutput } from "../fold/fold-model.js";
import { floatDtype } from "../graph/dtype.js";
import { checkpointOutput } from "../output/checkpoint-output.js";
import { onnxOutput } from "../output/onnx-output.js";
import { outputConfig } from "../output/output-config.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import type { FolderJournal } from "./folder-journal.js";
import { spooledSafetensors } from "./spooled-safetensors.js";

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

export declare namespace writeModel {
  interface Options extends Omit<foldModel.Options, "outputs"> {
    /** The checkpoint's folder, for tokenizer files. */
    readonly from: string;
    /** An empty folder to write to. */
    readonly to: string;
    /** Goes into `kvfold.json` beside the plan: what was done, with what, and figures. */
    readonly record: (report: Report) => Readonly<Record<string, unknown>>;
    readonly onBudget?: allocateBudget.Options["onBudget"];
    /** Of this fold; its settled plan, where it has one, spares the budget's measurements. */
    readonly journal?: FolderJournal | undefined;
  }
  interface Report extends foldModel.Report {
    /** The plan that was carried out, with the layers that its budget gave. */
    readonly plan: FoldPlan;
  }
}

/**
 * Settles the plan's budget and folds a checkpoint into a folder: for format `onnx` what transformers.js and ONNX Runtime load (`config.json`,
 * tokenizer files, `onnx/model*.onnx` with external data), for format `hf` a checkpoint (`config.json`, tokenizer
 * files, `model.safetensors`), and `kvfold.json` for both. With both formats the checkpoint lies in `hf/`, since its
 * `config.json` differs.
 */
export async function writeModel(options: writeModel.Options): Promise<writeModel.Report> {
  const { checkpoint, from, to, record } = options;
  const plan = await settlePlan(options);
  const formats = await Promise.all(plan.formats.map((format) => openFormat(format, checkpoint, plan, to)));
  const outputs = formats.flatMap<ModelOutput>((format) => format.outputs);
  const report = { plan, ...(await foldModel({ ...options, plan, outputs })) };
  for (const { folder, config } of formats) {
    await writeJson(join(folder, "config.json"), config());
    await copyCompanions(from, folder);
  }
  await writeJson(join(to, "kvfold.json"), { format: "kvfold-1", plan, ...record(report) });
  return report;
}

async function settlePlan(options: writeModel.Options): Promise<FoldPlan> {
  const { journal } = options;
  const asked = journal?.plan ?? options.plan;
  const plan = await allocateBudget({ ...options, plan: asked });
  if (plan !== asked) await journal?.savePlan(plan);
  return plan;
}

async function openFormat(
  format: FoldPlan["formats"][number],
  checkpoint: Checkpoint,
  plan: FoldPlan,
  to: string,
) {
  const { config } = checkpoint;
  if (format === "onnx") {
    await mkdir(join(to, "onnx"), { recursive: true });
    const outputs = onnxOutputs(checkpoint, plan, join(to, "onnx"));
    return { folder: to, outputs, config: () => outputConfig(config, plan, outputs) };
  }
  const folder = plan.formats.length > 1 ? join(to, "hf") : to;
  await mkdir(folder, { recursive: true });
  const dtype = floatDtype(plan.dtypes) === "fp16" ? "F16" : "F32";
  const output = checkpointOutput(
    config,
    plan,
    await spooledSafetensors(join(folder, "model.safetensors"), dtype),
  );
  const torchType = dtype === "F16" ? "float16" : "float32";
  return { folder, outputs: [output], config: () => ({ ...output.config(), torch_dtype: torchType }) };
}

const onnxOutputs = (checkpoint: Checkpoint, plan: FoldPlan, folder: string) =>
  plan.dtypes.map((dtype) =>
    onnxOutput({
      config: checkpoint.config,
      plan,
      dtype,
      open: (fileName) => fileSink(join(folder, fileName)),
      metadata: { kvfold: `method ${plan.method}, keep ${plan.keep}` },
    }),
  );

const writeJson = (path: string, value: unknown) => writeFile(path, `${JSON.stringify(value, null, 2)}\n`);

async function copyCompanions(from: string, to: string): Promise<void> {
  for (const file of COMPANIONS) {
    await copyFile(join(from, file), join(to, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
  }
}
