import {
  type Checkpoint,
  checkpointOutput,
  type Dtype,
  dtypes,
  type FolderSource,
  floatDtype,
  ggufOutput,
  type ModelOutput,
  type ModelTarget,
  onnxOutput,
  readGgufTokenizer,
  writeBytes,
} from "@kvfold/decoder";
import { ConverterError } from "../converter-error.js";
import { inlineBlockMath } from "../fold/block-math.js";
import { foldModel } from "../fold/fold-model.js";
import type { CalibrationText } from "../fold/fold-options.js";
import { quantisedOutput } from "../fold/quantised-output.js";
import { cachePrecisionsOf } from "../plan/cache-bits.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { requireSettled } from "../plan/require-settled.js";
import { ggufFileDtypes, onnxDtypes, roundsToFourBits } from "../plan/stored-dtype.js";
import { type CardOrigin, readCardOrigin } from "./card-origin.js";
import { GENAI_CONFIG_FILE, genaiConfig } from "./genai-config.js";
import { CARD_FILE, modelCard } from "./model-card.js";
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

export declare namespace writeFiles {
  interface Options extends Omit<foldModel.Options, "outputs"> {
    /** The checkpoint's folder, for tokenizer files. */
    readonly source: FolderSource;
    /** An empty folder to write to. */
    readonly target: ModelTarget;
    /** Goes into `kvfold.json` beside the plan: what was done, with what, and figures. */
    readonly record?: (report: Report) => Readonly<Record<string, unknown>>;
  }
  interface Report extends foldModel.Report {
    /** The plan that was carried out. */
    readonly plan: FoldPlan;
  }
}

/**
 * Folds a checkpoint into the files of a folder: for format `onnx` what transformers.js and ONNX Runtime load (`config.json`, tokenizer files, `onnx/model*.onnx` with external data), for format `hf` a
 * checkpoint (`config.json`, tokenizer files, `model.safetensors`), for format `gguf` files that llama.cpp loads
 * (`model-f16.gguf`), and `kvfold.json`, a model card `README.md` and the licence files of the original for all. Beside another format the checkpoint lies in `hf/`, since its `config.json`
 * differs.
 *
 * @throws {ConverterError} `invalid-option` when the plan has format `hf` and the target takes no checkpoints; and as
 * `foldModel`.
 */
export async function writeFiles(options: writeFiles.Options): Promise<writeFiles.Report> {
  const { plan, record } = options;
  requireSettled(plan);
  const found = await writeFormats(options, (outputs) => foldModel({ ...options, outputs }));
  const report = { plan, ...found };
  const rounding = roundsToFourBits(plan) ? { rounding: textOf(options) ? "text" : "nearest" } : {};
  await writeDescription(options, { ...rounding, ...record?.(report) });
  return report;
}

/** Writes what says how a model was made: the card for people, `kvfold.json` for programs. */
export async function writeDescription(
  places: Places,
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  await writeCard(await readCardOrigin(places.source), details, places);
  await writeJson(places.target, RECORD_FILE, { format: "kvfold-1", plan: places.plan, ...details });
}

/**
 * Writes the files of all formats of a plan but those that describe it. `produce` hands the model to the outputs, and abandons them
 * when it fails.
 */
export async function writeFormats<Result>(
  places: writeFormats.Options,
  produce: (outputs: readonly ModelOutput[]) => Promise<Result>,
): Promise<Result> {
  const { source, target } = places;
  const formats = await openFormats(places);
  const result = await produce(formats.flatMap((format) => format.outputs));
  for (const { folder, config } of formats) {
    if (config === undefined) continue;
    await writeJson(target, `${folder}config.json`, config());
    await copyFiles(COMPANIONS, source, target, folder);
  }
  if (places.plan.formats.includes("onnx")) await writeGenaiConfig(places);
  return result;
}

/** What onnxruntime-genai loads the ONNX output by, where it can. */
async function writeGenaiConfig({ checkpoint, plan, source, target }: Places): Promise<void> {
  const generation = await source.readText("generation_config.json");
  const config = genaiConfig(checkpoint.config, plan, readFields(generation));
  if (config !== undefined) await writeJson(target, GENAI_CONFIG_FILE, config);
}

/** A companion that is not JSON is copied all the same, and says nothing. */
function readFields(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text ?? "{}") as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
}

export declare namespace writeFormats {
  type Options = Places;
}

type Places = Pick<
  writeFiles.Options,
  "checkpoint" | "plan" | "source" | "target" | "provider" | "windows" | "hiddenStates" | "math" | "signal"
>;

/** A format's files in their folder, and once they are complete its config, if it has one. */
interface OpenFormat {
  readonly folder: string;
  readonly outputs: readonly ModelOutput[];
  readonly config?: () => Record<string, unknown>;
}

/** Opens all formats, or leaves none open. */
async function openFormats(places: Places): Promise<readonly OpenFormat[]> {
  const opened: OpenFormat[] = [];
  try {
    for (const format of places.plan.formats) opened.push(await openFormat(format, places));
    return opened;
  } catch (error) {
    const outputs = opened.flatMap((format) => format.outputs);
    await Promise.allSettled(outputs.map((output) => output.abandon()));
    throw error;
  }
}

async function openFormat(format: FoldPlan["formats"][number], places: Places): Promise<OpenFormat> {
  const { checkpoint, plan, target } = places;
  const { config } = checkpoint;
  if (format === "gguf") return { folder: "", outputs: await ggufOutputs(places) };
  if (format === "onnx") {
    const files = onnxOutputs(checkpoint, plan, target);
    const outputs = files.map((file, index) => roundedOutput(file, onnxDtypes(plan.dtypes)[index]!, places));
    return { folder: "", outputs, config: () => outputConfig(config, plan, files) };
  }
  const folder = plan.formats.length > 1 ? "hf/" : "";
  const dtype = floatDtype(onnxDtypes(plan.dtypes)) === "fp16" ? "F16" : "F32";
  const output = checkpointOutput(config, await openTensors(target, `${folder}model.safetensors`, dtype));
  const torchType = dtype === "F16" ? "float16" : "float32";
  return { folder, outputs: [output], config: () => withDtype(output.config(), torchType) };
}

/** A config says its weights' type once: under the name that versions of transformers before 5 read, too. */
function withDtype(config: Record<string, unknown>, type: string): Record<string, unknown> {
  const { dtype: _, ...fields } = config;
  return { ...fields, torch_dtype: type };
}

async function openTensors(target: ModelTarget, path: string, dtype: "F32" | "F16") {
  if (target.openTensors !== undefined) return target.openTensors(path, dtype);
  throw new ConverterError(
    "invalid-option",
    `${path}: no checkpoint can be written here; choose format onnx`,
  );
}

const onnxOutputs = (checkpoint: Checkpoint, plan: FoldPlan, target: ModelTarget) =>
  onnxDtypes(plan.dtypes).map((dtype) =>
    onnxOutput({
      config: checkpoint.config,
      attention: plan.attention,
      maxPositions: plan.maxPositions,
      dtype,
      open: (fileName) => target.open(`onnx/${fileName}`),
      cachePrecisions: cachePrecisionsOf(plan),
      metadata: { kvfold: `method ${plan.method}, keep ${plan.keep}` },
    }),
  );

/** The calibration text, and what runs the model over it, where both are there. */
const textOf = ({
  provider,
  windows = [],
  hiddenStates,
}: Pick<Places, "provider" | "windows" | "hiddenStates">): CalibrationText | undefined =>
  provider === undefined || windows.length === 0 ? undefined : { provider, windows, hiddenStates };

/** Four bits are fitted to the calibration text where there is one; else weights are rounded as they are written. */
function roundedOutput(output: ModelOutput, dtype: Dtype, places: Places): ModelOutput {
  const { checkpoint, plan, math = inlineBlockMath, signal } = places;
  const text = textOf(places);
  if (dtypes[dtype].projections !== "q4" || text === undefined) return output;
  return quantisedOutput({ output, config: checkpoint.config, plan, text, math, signal });
}

/** The vocabulary is read before any work is done: some tokenizers are refused. */
async function ggufOutputs({ checkpoint, plan, source, target }: Places): Promise<readonly ModelOutput[]> {
  const { config } = checkpoint;
  const { maxPositions, bias, heal, method, keep } = plan;
  const tokenizer = await readGgufTokenizer(source, config);
  return ggufFileDtypes(plan.dtypes).map((dtype) =>
    ggufOutput({
      config,
      dtype,
      kvHeads: plan.layers[0]!.keys.heads,
      newBiases: bias === "free" && heal !== "none",
      maxPositions,
      tokenizer,
      open: (fileName) => target.open(fileName),
      metadata: { "kvfold.method": method, "kvfold.keep": keep },
    }),
  );
}

const writeJson = (target: ModelTarget, path: string, value: unknown): Promise<void> =>
  writeBytes(target, path, new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`));

async function writeCard(
  origin: CardOrigin,
  details: Readonly<Record<string, unknown>>,
  { plan, source, target }: Places,
): Promise<void> {
  const card = modelCard({ plan, details, origin });
  await writeBytes(target, CARD_FILE, new TextEncoder().encode(card));
  await copyFiles(origin.licenseFiles, source, target, "");
}

async function copyFiles(
  files: readonly string[],
  source: FolderSource,
  target: ModelTarget,
  folder: string,
): Promise<void> {
  for (const file of files) {
    const bytes = await source.openBytes(file);
    if (bytes === undefined) continue;
    try {
      await writeBytes(target, `${folder}${file}`, await bytes.read(0, bytes.byteLength));
    } finally {
      await bytes.close?.();
    }
  }
}
