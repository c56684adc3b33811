import { openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { confined, fitInMemory, memoryFolder, writeFiles } from "./case-folder.js";
import type { CreatedCase } from "./create-case.js";
import { fault, judgeError, type Verdict } from "./judge-error.js";
import { loadWeights, runModel } from "./try-model.js";
import { tryTokenizer, tryTokens } from "./try-text.js";

/** CPU time that a case may take, in ms; the largest honest ones take a tenth. */
const MAX_CPU_MS = 2000;
/** Memory that a case may leave in typed arrays: base models have less than 1 MB of weights. */
const MAX_ARRAY_BYTES = 2 ** 28;

/** Tries what the product does with the files of a case, in `folder` where they have to be on a disk. */
export async function tryCase(created: CreatedCase, folder: string): Promise<Verdict> {
  const start = performance.now();
  const verdict = await judge(created, folder);
  // The process had no more than the time on the clock: what is slow is tried again under the processor's own.
  const isQuick = performance.now() - start < MAX_CPU_MS;
  const cpuMs = isQuick ? 0 : await cpuTime(() => judge(created, folder));
  if (verdict.outcome === "fault") return verdict;
  if (cpuMs > MAX_CPU_MS)
    return fault("too slow", `${Math.round(cpuMs)} ms of CPU time; then: ${verdict.detail}`);
  const { arrayBuffers } = process.memoryUsage();
  if (arrayBuffers > MAX_ARRAY_BYTES)
    return fault("too much memory", `${arrayBuffers} bytes in typed arrays`);
  return verdict;
}

async function cpuTime(work: () => Promise<unknown>): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

async function judge(created: CreatedCase, folder: string): Promise<Verdict> {
  try {
    return await attempts[created.attempt](created, folder);
  } catch (error) {
    return judgeError(error);
  }
}

const attempts: Readonly<
  Record<CreatedCase["attempt"], (created: CreatedCase, folder: string) => Promise<Verdict>>
> = {
  checkpoint: tryCheckpoint,
  tokens: async (created, folder) => {
    writeFiles(created, folder);
    return tryTokens(folder, [...created.files.keys()][0]!);
  },
  tokenizer: async (created, folder) => {
    writeFiles(created, folder);
    return tryTokenizer(folder);
  },
};

async function tryCheckpoint(created: CreatedCase, folder: string): Promise<Verdict> {
  const checkpoint = await openCheckpoint(confined(await folderOf(created, folder)));
  try {
    const wordy = checkpoint.notices.find((notice) => judgeError(named(notice)).outcome === "fault");
    if (wordy !== undefined) return fault("an unreadable notice", JSON.stringify(wordy).slice(0, 500));
    await loadWeights(checkpoint);
    return created.runs
      ? await runModel(checkpoint)
      : { outcome: "loaded", detail: checkpoint.config.family.modelType };
  } finally {
    await checkpoint.close();
  }
}

async function folderOf(created: CreatedCase, folder: string) {
  if (!created.onDisk && fitInMemory(created)) return memoryFolder(created);
  writeFiles(created, folder);
  return directorySource(folder);
}

/** Notices are held to the rules of messages. */
const named = (message: string) =>
  Object.defineProperty(new Error(message), Symbol.for("kvfold.fuzz.error"), { value: true });
