import { readFile, rm } from "node:fs/promises";
import {
  type Adapter,
  readIdentity,
  type StateIdentity,
  saveState,
  type TrainingState,
} from "@kvfold/tuning";
import { ConverterError } from "../converter-error.js";
import { describeDifferences } from "./fold-identity.js";
import { writeWholeFile } from "./whole-file.js";

/** Where a tuning keeps what it goes on from. */
export interface TuningStateFile {
  /** What an earlier run of the same tuning saved, if one did. */
  readonly saved: Uint8Array | undefined;
  /** Notes a state, and saves it when the last one has become old. */
  note(state: TrainingState, adapters: readonly (readonly Adapter[])[]): Promise<void>;
  /** Saves what was noted last. */
  save(): Promise<void>;
  remove(): Promise<void>;
}

/** More often would cost more than what a killed run loses. */
const SAVE_MILLISECONDS = 30_000;

/**
 * Opens the state file of a tuning.
 *
 * @throws {ConverterError} `unusable-journal` when it is of another tuning.
 * @throws {TuningError} `unusable-state` when it is damaged.
 */
export async function openTuningState(path: string, identity: StateIdentity): Promise<TuningStateFile> {
  const saved = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (saved !== undefined) await requireSame(path, saved, identity);
  let noted:
    | { readonly state: TrainingState; readonly adapters: readonly (readonly Adapter[])[] }
    | undefined;
  let savedAt = performance.now();
  const save = async () => {
    if (noted === undefined) return;
    await writeWholeFile(path, saveState(noted.state, noted.adapters, identity), { existing: "replace" });
    savedAt = performance.now();
  };
  return {
    saved,
    save,
    async note(state, adapters) {
      noted = { state, adapters };
      if (performance.now() - savedAt > SAVE_MILLISECONDS) await save();
    },
    remove: () => rm(path, { force: true }),
  };
}

async function requireSame(path: string, saved: Uint8Array, identity: StateIdentity): Promise<void> {
  const differences = describeDifferences(await readIdentity(saved), identity);
  if (differences.length === 0) return;
  throw new ConverterError(
    "unusable-journal",
    `${path} is the state of another tuning (${differences.join("; ")}); tune with those options again, or remove it to start over`,
  );
}
