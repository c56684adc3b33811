import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { StageMoments } from "@kvfold/calibration";
import { ConverterError } from "../converter-error.js";
import type { FoldJournal, JournalStream } from "../journal/fold-journal.js";
import { RECORD_FILE as OUTPUT_RECORD } from "../output/record-file.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { describeDifferences, foldIdentity } from "./fold-identity.js";
import {
  listFiles,
  readBlock,
  readMoments,
  readStates,
  removeEmptyFolder,
  removeFiles,
  writeBlock,
  writeBytes,
  writeMoments,
  writeStates,
} from "./journal-files.js";
import { lockJournal } from "./journal-lock.js";
import { type JournalRecord, newRecord, RECORD_FILE, readRecord, unusable } from "./journal-record.js";

/** A journal in a folder. */
export interface FolderJournal extends FoldJournal {
  /** The fold's plan: settled if an earlier run got that far. */
  readonly plan: FoldPlan;
  /** Keeps the settled plan, so that the next run need not measure for it again. */
  savePlan(plan: FoldPlan): Promise<void>;
  /** Moments of gradients by layer, if an earlier run measured them: they take a backward pass through the whole model. */
  readGradients(): Promise<readonly StageMoments[] | undefined>;
  /** Keeps them for the next run. */
  saveGradients(gradients: readonly StageMoments[]): Promise<void>;
  /** Notes that the output is complete in `folder`, right before it is put in its place. */
  saveOutput(folder: string): Promise<void>;
  /** Whether the output that this fold completed stands at `folder`: a run was killed after it was put there. */
  isOutput(folder: string): Promise<boolean>;
  /** Removes the journal, once the fold's output is where it belongs, and closes it. */
  remove(): Promise<void>;
  /** Lets other processes use the journal. */
  close(): Promise<void>;
}

export declare namespace openJournal {
  interface Options extends foldIdentity.Options {
    /** Where the journal lies, or is to lie: a folder of its own, made when there is something to keep. */
    readonly folder: string;
  }
}

/**
 * Opens the journal of a fold, to keep what is finished and to go on from what an earlier run finished. Weights and
 * hidden states are float32, so that a resumed fold writes the bytes of one that never stopped. Until it is closed or
 * removed, or its process ends, no other process can open it.
 *
 * Disk space: the folded blocks so far, and the hidden states (`4 * windows * tokens * D` bytes, twice where the fold
 * heals; as much again while the next block's are written). With metric `loss` also the gradients' moments, which are float64:
 * `8 * (2 * Hkv * d)²` bytes a layer.
 *
 * @throws {ConverterError} `unusable-journal` when the folder is the journal of another fold, damaged, in use by another
 * process, or no journal; so do reads. Writes throw `write-failed` and leave the journal as it was.
 */
export async function openJournal({ folder, ...options }: openJournal.Options): Promise<FolderJournal> {
  await requireJournal(folder);
  // A shard may start again on another machine; its exchange ends the process that it was taken from.
  const unlock = await lockJournal(folder, options.shard === undefined ? "respect" : "replace");
  const close = async () => {
    await unlock();
    await removeEmptyFolder(folder);
  };
  try {
    return createJournal(folder, await startRecord(folder, options), close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** Refuses a folder that holds something else, before anything is written to it. */
async function requireJournal(folder: string): Promise<void> {
  const found = await readRecord(folder);
  const { foreign } = await listFiles(folder);
  if (found === undefined && foreign.length > 0)
    throw new ConverterError("unusable-journal", `${folder}: no journal of kvfold; choose an empty folder`);
}

/** What an earlier run of the same fold finished, if there was one. */
async function startRecord(folder: string, options: foldIdentity.Options): Promise<JournalRecord> {
  const identity = await foldIdentity(options);
  const found = await readRecord(folder);
  if (found !== undefined) requireSame(folder, describeDifferences(found.identity, identity));
  const record = found ?? newRecord(identity, options.plan);
  const { own } = await listFiles(folder);
  await removeFiles(
    folder,
    own.filter((name) => !countedFiles(record).has(name)),
  );
  return record;
}

function requireSame(folder: string, differences: readonly string[]): void {
  if (differences.length === 0) return;
  throw new ConverterError(
    "unusable-journal",
    `${folder} is the journal of another fold (${differences.join(", ")}); go on with the options that it was begun with, or remove that folder to start over`,
  );
}

/** The files that a record counts on. What else is there was not finished when a run stopped. */
function countedFiles({ finished, hasGradients, plan }: JournalRecord): ReadonlySet<string> {
  return new Set([
    RECORD_FILE,
    ...(hasGradients ? plan.layers.map((_, layer) => gradientsFile(layer)) : []),
    ...finished.flatMap((_, layer) => [blockFile(layer), momentsFile(layer)]),
    ...streamFiles(finished.length),
  ]);
}

const blockFile = (layer: number): string => `block-${layer}.safetensors`;
const momentsFile = (layer: number): string => `moments-${layer}.safetensors`;
const gradientsFile = (layer: number): string => `gradients-${layer}.safetensors`;
/** A stream as it is after so many blocks. */
const streamFile = (stream: JournalStream, blocks: number): string => `${stream}-${blocks}.safetensors`;
const streamFiles = (blocks: number): readonly string[] => [
  streamFile("original", blocks),
  streamFile("folded", blocks),
];

function createJournal(folder: string, start: JournalRecord, close: () => Promise<void>): FolderJournal {
  let record = start;
  const write = (file: string, work: (path: string) => Promise<void>) => writing(folder, file, work);
  const read = <T>(file: string, work: (path: string) => Promise<T>) => reading(folder, file, work);
  const commit = async (next: JournalRecord) => {
    await write(RECORD_FILE, (path) => writeBytes(path, `${JSON.stringify(next, null, 2)}\n`));
    record = next;
  };
  return {
    name: folder,
    get plan() {
      return record.plan;
    },
    get blocks() {
      return record.finished.length;
    },
    get hasMoments() {
      return record.finished.every(({ hasMoments }) => hasMoments);
    },
    savePlan: (plan) => commit({ ...record, plan }),
    async readGradients() {
      if (!record.hasGradients) return undefined;
      const layers: StageMoments[] = [];
      for (const layer of record.plan.layers.keys())
        layers.push(await read(gradientsFile(layer), readMoments));
      return layers;
    },
    async saveGradients(gradients) {
      for (const [layer, moments] of gradients.entries())
        await write(gradientsFile(layer), (path) => writeMoments(path, moments));
      await commit({ ...record, hasGradients: true });
    },
    async readBlock(layer) {
      const { retained, hasMoments } = record.finished[layer]!;
      const block = await read(blockFile(layer), readBlock);
      return {
        block,
        retained,
        moments: hasMoments ? await read(momentsFile(layer), readMoments) : undefined,
      };
    },
    restoreStream: (stream, states) =>
      read(streamFile(stream, record.finished.length), (path) => readStates(path, states)),
    saveStream: (layer, stream, states) =>
      write(streamFile(stream, layer + 1), (path) => writeStates(path, states)),
    async saveBlock(layer, { block, retained, moments }) {
      await write(blockFile(layer), (path) => writeBlock(path, block));
      if (moments !== undefined) await write(momentsFile(layer), (path) => writeMoments(path, moments));
      const hasMoments = moments !== undefined;
      await commit({ ...record, finished: [...record.finished, { retained, hasMoments }] });
      await removeFiles(folder, streamFiles(layer));
    },
    async saveOutput(output) {
      await commit({ ...record, output: await hashOutput(output) });
    },
    async isOutput(output) {
      return record.output !== undefined && record.output === (await hashOutput(output));
    },
    async remove() {
      const { own } = await listFiles(folder);
      // Without its record the rest is nothing that anyone would go on from.
      await removeFiles(folder, [RECORD_FILE, ...own]);
      await close();
    },
    close,
  };
}

/** Tells one output from another: its record holds the time at which it was made. */
async function hashOutput(folder: string): Promise<string | undefined> {
  const bytes = await readFile(join(folder, OUTPUT_RECORD)).catch(() => undefined);
  return bytes && createHash("sha256").update(bytes).digest("hex");
}

async function writing(folder: string, file: string, work: (path: string) => Promise<void>): Promise<void> {
  const path = join(folder, file);
  try {
    await mkdir(folder, { recursive: true });
    await work(path);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new ConverterError(
      "write-failed",
      `${path}: the journal could not be written (${reason}); make room and go on, or fold without a journal`,
      { cause },
    );
  }
}

async function reading<T>(folder: string, file: string, work: (path: string) => Promise<T>): Promise<T> {
  try {
    return await work(join(folder, file));
  } catch (cause) {
    throw unusable(folder, `${file} is missing or damaged (${(cause as Error).message})`, cause);
  }
}
