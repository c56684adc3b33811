import { join } from "node:path";
import { directorySource } from "@kvfold/decoder/node";
import { readCardOrigin } from "../output/card-origin.js";
import { CARD_FILE, modelCard } from "../output/model-card.js";
import { RECORD_FILE } from "../output/record-file.js";
import type { FoldPlan } from "../plan/fold-plan.js";
import { readFoldRecord } from "../tune/fold-record.js";
import { writeWholeFile } from "./whole-file.js";

export declare namespace amendRecord {
  interface Changes {
    /** In place of the plan that is there. */
    readonly plan?: FoldPlan | undefined;
    /** Fields beside the plan that are added, or replaced. */
    readonly details?: Readonly<Record<string, unknown>> | undefined;
  }
}

/**
 * Changes the record of a folder that kvfold wrote, and writes its model card anew.
 *
 * @throws {ConverterError} `unsupported-model` for a folder without a record that can be read; `write-failed`.
 */
export async function amendRecord(folder: string, changes: amendRecord.Changes): Promise<void> {
  const source = await directorySource(folder);
  const record = readFoldRecord(folder, await source.readText(RECORD_FILE));
  const { format, plan: _, ...known } = record.fields;
  const plan = changes.plan ?? record.plan;
  const details = { ...known, ...changes.details };
  const card = modelCard({ plan, details, origin: await readCardOrigin(source) });
  const text = `${JSON.stringify({ format, plan, ...details }, null, 2)}\n`;
  await writeWholeFile(join(folder, RECORD_FILE), text, { existing: "replace" });
  await writeWholeFile(join(folder, CARD_FILE), card, { existing: "replace" });
}
