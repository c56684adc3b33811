import { readFile } from "node:fs/promises";
import {
  describeMoments,
  loadMoments,
  type ModelMoments,
  type StageMoments,
  saveMoments,
} from "@kvfold/calibration";
import type { FoldPlan, Tap } from "@kvfold/converter";
import { isGradientTap, tapWidth } from "@kvfold/converter/internals";
import { writeWholeFile } from "@kvfold/converter/node";
import type { ModelConfig, ModelShape } from "@kvfold/decoder";
import type { ByteSource } from "@kvfold/safetensors";
import { fileSource } from "@kvfold/safetensors/node";
import { CliError } from "../cli-error.js";
import type { Existing } from "../files/whole-file.js";

/**
 * Keeps moments in a file, with a few words on where they come from. A file that holds just that already is as good.
 *
 * @throws {ConverterError} `output-exists` when another file is there, unless it may be replaced.
 */
export async function writeMoments(
  path: string,
  layers: readonly StageMoments[],
  {
    description,
    existing,
  }: { readonly description: Readonly<Record<string, string>>; readonly existing: Existing },
): Promise<void> {
  const bytes = saveMoments({ layers, description });
  await writeWholeFile(path, bytes, { existing }).catch(async (error: unknown) => {
    const there = await readFile(path).catch(() => undefined);
    if (there === undefined || !there.equals(bytes)) throw error;
  });
}

/**
 * Reads moments that were measured before, and makes sure that they fit the model and the method and metric of the plan.
 *
 * @throws {CliError} `unreadable-file` when the file cannot be read, `malformed-file` when it is another kind of file or
 * its moments do not fit, or some that the plan needs are missing.
 */
export async function readMoments(
  path: string,
  { shape }: ModelConfig,
  { taps, method }: Pick<FoldPlan, "taps" | "method">,
): Promise<readonly StageMoments[]> {
  const { layers } = await readMomentsOf(path);
  if (layers.length !== shape.layers) {
    throw misfit(path, `moments of ${layers.length} layers, but the model has ${shape.layers}`);
  }
  requireGradients(path, layers[0]!, { taps, method });
  for (const [layer, stage] of layers.entries()) {
    for (const tap of taps) checkTap(path, layer, tap, stage, shape);
  }
  return layers;
}

/**
 * Tokens of the windows that moments were measured on, where the file says so. Throws as `readMoments`.
 */
export async function readMomentsWindow(path: string): Promise<number | undefined> {
  const { window } = await readMomentsDescription(path);
  return window === undefined ? undefined : Number(window);
}

/** What a file says of the text that its moments were measured on. Throws as `readMoments`. */
export const readMomentsDescription = (path: string): Promise<ModelMoments["description"]> =>
  readMomentsFile(path, describeMoments);

/** All moments of a file, of whatever model. Throws as `readMoments`. */
export const readMomentsOf = (path: string): Promise<ModelMoments> => readMomentsFile(path, loadMoments);

async function readMomentsFile<T>(path: string, read: (source: ByteSource) => Promise<T>): Promise<T> {
  const source = await fileSource(path).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === "ENOENT" ? "no such file of moments" : `cannot be read (${cause.message})`;
    throw new CliError("unreadable-file", `${path}: ${reason}`, { cause });
  });
  try {
    return await read(source);
  } catch (cause) {
    throw new CliError(
      "malformed-file",
      `${path} is not a file of moments (${(cause as Error).message}); name one that kvfold measure or fold --save-moments wrote`,
      { cause },
    );
  } finally {
    await source.close();
  }
}

/** Gradients are in a file only where they were asked for. */
function requireGradients(
  path: string,
  stage: StageMoments,
  { taps, method }: Pick<FoldPlan, "taps" | "method">,
): void {
  const missing = taps.find((tap) => isGradientTap(tap) && stage[tap] === undefined);
  if (missing === undefined) return;
  throw new CliError(
    "malformed-file",
    `${path} holds no gradients of the loss (${missing}), which --metric loss weighs errors by; measure again with kvfold measure --metric loss --method ${method}, or leave out --metric loss`,
  );
}

function checkTap(path: string, layer: number, tap: Tap, stage: StageMoments, shape: ModelShape): void {
  const width = tapWidth(tap, shape);
  const { width: found, count } = stage[tap] ?? {};
  if (count === 0) throw partOnly(path, layer, tap);
  if (found === width) return;
  throw misfit(
    path,
    found === undefined
      ? `no moments of ${tap} in layer ${layer}, which this method and metric look at`
      : `${tap} of width ${found} in layer ${layer}, but the model's are ${width} wide`,
  );
}

const misfit = (path: string, found: string) =>
  new CliError(
    "malformed-file",
    `${path} holds ${found}; measure again with --calibration and --save-moments`,
  );

/** Attention and gradients are measured on the first windows of a text, which later shards do not have. */
const partOnly = (path: string, layer: number, tap: Tap) =>
  new CliError(
    "malformed-file",
    `${path} holds ${tap} of no tokens in layer ${layer}: it is a shard of a measurement; add all shards with kvfold merge`,
  );
