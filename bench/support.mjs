/** What all benchmark scripts share. They run on the built packages: `npm run build` first. */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseTokenBytes, tokenWindows } from "@kvfold/calibration";
import { openCheckpoint, planFold } from "@kvfold/converter";
import { directorySource, writeModel } from "@kvfold/converter/node";
import { nodeProvider } from "@kvfold/runtime-node";

export const provider = nodeProvider();

/** `prose-27m` is too large to ship; `--models FOLDER` says where it is. */
export function modelFolder(name) {
  const given = process.argv.indexOf("--models");
  const folders = [
    given > 0 ? process.argv[given + 1] : undefined,
    assetPath("models"),
    repositoryPath("../shared/models"),
  ];
  const found = folders
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find(existsSync);
  if (found !== undefined) return found;
  throw new Error(
    `${name} was not found in ${folders.filter(Boolean).join(", ")}; name its folder with --models FOLDER`,
  );
}

export const repositoryPath = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
export const assetPath = (path) => repositoryPath(`assets/${path}`);

/** The first `count` windows of 1025 tokens of a token file; calibration uses the first 1024 of each. */
export async function readWindows(file, count, vocabSize = 4096, first = 0) {
  const tokens = parseTokenBytes(await readFile(assetPath(`text/${file}`)), vocabSize, file);
  return tokenWindows(tokens, { length: 1025, count, first, source: file });
}

export const calibrationWindows = async (count, first = 0) =>
  (await readWindows("calibration.u16", count, 4096, first)).map((window) => window.slice(0, 1024));

/** Folds a model into a new folder and returns its path and the report. */
export async function fold(from, to, planOptions, foldOptions = {}) {
  const checkpoint = await openCheckpoint(await directorySource(from));
  try {
    const plan = planFold(checkpoint.config, planOptions);
    await rm(to, { recursive: true, force: true });
    const report = await writeModel({
      checkpoint,
      plan,
      provider,
      from,
      to,
      record: () => ({}),
      ...foldOptions,
    });
    return { plan, report };
  } finally {
    await checkpoint.close();
  }
}

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

export const machine = () =>
  `${cpus().length} x ${cpus()[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;

/** The number behind `--name`, or `fallback`. */
export function option(name, fallback) {
  const index = process.argv.indexOf(`--${name}`);
  return index > 0 ? Number(process.argv[index + 1]) : fallback;
}
