import { tokenWindows } from "@kvfold/calibration";
import type { Dtype } from "@kvfold/decoder";
import { CliError } from "../cli-error.js";
import type { FoundModel } from "../models/find-model.js";
import { type FolderConfig, readFolderConfig } from "../models/folder-config.js";
import { locateModel } from "../models/locate-model.js";
import { checkWindow } from "../tokens/check-window.js";
import { readTokens, type TokenFile } from "../tokens/read-tokens.js";
import { folderVocabulary } from "../tokens/vocabulary.js";
import type { JobContext } from "./job.js";

/** Tokens predicted per window, unless told otherwise or a model's context is shorter. */
const DEFAULT_WINDOW = 1024;

export declare namespace readEvaluationText {
  interface Options {
    readonly files: readonly TokenFile[];
    /** Windows to measure; all that the text gives without it. */
    readonly windows?: number | undefined;
    /** Tokens predicted per window. */
    readonly window?: number | undefined;
    readonly dtype?: Dtype | undefined;
    /** Positions that the windows are moved by at most. */
    readonly furthestShift: number;
  }
  interface Text {
    /** Token ids, one more each than are predicted. */
    readonly windows: readonly Int32Array[];
    /** Tokens predicted per window. */
    readonly window: number;
  }
}

/**
 * Cuts text into windows that fit all models, from tokens that are the same for all.
 *
 * @throws {CliError} `usage` for a window beyond a model's context, or a shift beyond the positions of its graph;
 *   `unsupported-model` when the models' tokenizers differ.
 */
export async function readEvaluationText(
  models: readonly FoundModel[],
  options: readEvaluationText.Options,
  { signal }: JobContext,
): Promise<readEvaluationText.Text> {
  const { files, windows } = options;
  const folders = await Promise.all(models.map((model) => readFolder(model, options.dtype)));
  const window = chooseWindow(folders, options);
  const length = window + 1;
  const limit = windows === undefined ? Number.POSITIVE_INFINITY : windows * length;
  const [tokens, ...others] = await Promise.all(
    folders.map(({ folder, config }) =>
      readTokens({ files, vocabulary: folderVocabulary(folder, config), limit, signal }),
    ),
  );
  checkSameTokens(tokens!, others, models);
  const source = files.map(({ path }) => path).join(", ");
  const count = windows === undefined ? {} : { count: windows };
  return { windows: tokenWindows(tokens!, { length, source, ...count }), window };
}

interface ModelFolder {
  readonly name: string;
  readonly folder: string;
  readonly config: FolderConfig;
  /** A checkpoint is exported for as many positions as are needed. */
  readonly kind: "onnx" | "checkpoint";
}

async function readFolder({ name, path }: FoundModel, dtype: Dtype | undefined): Promise<ModelFolder> {
  const { folder, kind } = await locateModel(path, dtype);
  return { name, folder, kind, config: await readFolderConfig(folder) };
}

function chooseWindow(
  folders: readonly ModelFolder[],
  { window, furthestShift }: readEvaluationText.Options,
): number {
  const contexts = folders.map(({ config }) => config.maxPositions ?? Number.POSITIVE_INFINITY);
  for (const [index, context] of contexts.entries()) checkWindow(window, context, folders[index]!.name);
  const chosen = Math.min(window ?? DEFAULT_WINDOW, ...contexts);
  for (const folder of folders) checkShift(furthestShift, chosen, folder);
  return chosen;
}

/** Positions that a checkpoint is exported for at most, unless its context is longer: its rotation tables have a row for each. */
const EXPORTED_POSITIONS = 2 ** 20;
/** Whole numbers that float32 holds: graphs without tables work angles out in it. */
const FLOAT32_POSITIONS = 2 ** 24;

/** Positions of a graph end where its rotation tables do. */
function checkShift(shift: number, window: number, { name, kind, config }: ModelFolder): void {
  const needed = shift + window;
  const positions =
    kind === "onnx"
      ? (config.maxPositions ?? FLOAT32_POSITIONS)
      : Math.max(config.maxPositions ?? 0, EXPORTED_POSITIONS);
  if (shift === 0 || needed <= positions) return;
  const remedies = [
    ...(kind === "onnx" && config.maxPositions !== undefined
      ? [`fold it with --max-positions ${needed}`]
      : []),
    ...(shift < positions ? [`ask for --window ${positions - shift} or less`] : []),
    `ask for --shift ${Math.max(0, positions - window)} or less`,
  ];
  throw new CliError(
    "usage",
    `--shift ${shift}: a window of ${window} tokens would end at position ${needed}, but ${name} has ${positions} positions; ${remedies.join(", or ")}`,
  );
}

function checkSameTokens(
  tokens: Int32Array,
  others: readonly Int32Array[],
  models: readonly FoundModel[],
): void {
  const different = others.findIndex(
    (other) => other.length !== tokens.length || other.some((token, index) => token !== tokens[index]),
  );
  if (different < 0) return;
  throw new CliError(
    "unsupported-model",
    `${models[different + 1]!.name} makes other tokens of the text than ${models[0]!.name}, so their perplexities cannot be compared; evaluate them one by one`,
  );
}
