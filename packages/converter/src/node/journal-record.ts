import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ConverterError } from "../converter-error.js";
import type { Retained } from "../methods/retained.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import type { FoldIdentity } from "./fold-identity.js";

/** The file that says how far a journal is; written last, so that everything it counts is there. */
export const RECORD_FILE = "journal.json";

/** JSON has no undefined: a share that is not known is null in a list. */
const shares = z.array(
  z
    .number()
    .nullable()
    .transform((share) => share ?? undefined),
);

const recordSchema = z.object({
  format: z.literal("kvfold-journal-1"),
  identity: z.record(z.string(), z.string()),
  // Written by the same version of kvfold, or else the identity differs.
  plan: z.custom<FoldPlan>((plan) => typeof plan === "object" && plan !== null),
  hasGradients: z.boolean(),
  finished: z.array(
    z.object({ retained: z.object({ keys: shares, values: shares }), hasMoments: z.boolean() }),
  ),
  output: z.string().optional(),
});

/** Which fold a journal is of, and how far it is. */
export interface JournalRecord {
  readonly format: "kvfold-journal-1";
  readonly identity: FoldIdentity;
  /** Settled once its budget is. */
  readonly plan: FoldPlan;
  /** Whether the gradients of all layers are there. */
  readonly hasGradients: boolean;
  /** By layer. */
  readonly finished: readonly { readonly retained: Retained; readonly hasMoments: boolean }[];
  /** SHA-256 of the `kvfold.json` of the output that all blocks went into, once that is complete. */
  readonly output?: string | undefined;
}

/** The record of a fold that has not begun. */
export const newRecord = (identity: FoldIdentity, plan: FoldPlan): JournalRecord => ({
  format: "kvfold-journal-1",
  identity,
  plan,
  hasGradients: false,
  finished: [],
});

/**
 * The record of a journal, or `undefined` where there is none yet.
 *
 * @throws {ConverterError} `unusable-journal` when the file holds something else.
 */
export async function readRecord(folder: string): Promise<JournalRecord | undefined> {
  const text = await readFile(join(folder, RECORD_FILE), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw unusable(folder, `${RECORD_FILE} is damaged or of another version of kvfold`, cause);
  }
}

/** The error for a journal that cannot be resumed, and what to do about it. */
export const unusable = (folder: string, reason: string, cause?: unknown): ConverterError =>
  new ConverterError("unusable-journal", `${folder}: ${reason}; remove that folder to start over`, { cause });
