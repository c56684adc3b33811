/** What all benchmark scripts share. They run on the built packages: `npm run build` first. */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseTokenBytes, tokenWindows } from "@kvfold/calibration";
import { planFold } from "@kvfold/converter";
import { workerBlockMath, writeModel } from "@kvfold/converter/node";
import { openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { nodeProvider } from "@kvfold/runtime-node";
import { assetPath, textOption } from "./paths.mjs";

export { option } from "./paths.mjs";

export const provider = nodeProvider();

/** The first `count` windows of 1025 tokens of a token file; calibration uses the first 1024 of each. */
async function readWindows(file, count, vocabSize = 4096, first = 0) {
  const tokens = parseTokenBytes(await readFile(assetPath(`text/${file}`)), vocabSize, file);
  return tokenWindows(tokens, { length: 1025, count, first, source: file });
}

export const calibrationWindows = async (count, first = 0) =>
  (await readWindows("calibration.u16", count, 4096, first)).map((window) => window.slice(0, 1024));

/** Folds a model into a new folder and returns its path and the report. */
export async function fold(from, to, planOptions, foldOptions = {}) {
  const checkpoint = await openCheckpoint(await directorySource(from));
  const math = workerBlockMath({ script: new URL(import.meta.resolve("kvfold/block-math-worker")) });
  try {
    const plan = planFold(checkpoint.config, planOptions);
    await rm(to, { recursive: true, force: true });
    const report = await writeModel({
      checkpoint,
      plan,
      provider,
      math,
      from,
      to,
      record: () => ({}),
      ...foldOptions,
    });
    return { plan, report };
  } finally {
    await math.dispose();
    await checkpoint.close();
  }
}

/** The first tokens of the calibration text. */
export async function calibrationTokens(count) {
  const windows = await calibrationWindows(Math.ceil(count / 1024));
  return windows.flatMap((window) => [...window]).slice(0, count);
}

/** Works in the folder that `--folder` names, which is kept for the next run, or in a temporary one. */
export const withKeptFolder = (use) => {
  const kept = textOption("folder");
  return kept === undefined ? withTemporaryFolder(use) : use(kept);
};

export async function withTemporaryFolder(use) {
  const folder = await mkdtemp(join(tmpdir(), "kvfold-bench-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

export async function seconds(work) {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

/** Folds a model into a folder for each entry of `plans`, but for those that an earlier run has left there. */
export async function foldAll(from, folder, plans) {
  const windows = await calibrationWindows(4);
  for (const [name, options] of Object.entries(plans)) {
    const to = join(folder, name);
    if (existsSync(to)) continue;
    await fold(from, to, options, options.keep === "1" ? {} : { windows });
  }
}
