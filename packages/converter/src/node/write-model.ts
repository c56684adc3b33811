import { directorySource, directoryTarget } from "@kvfold/decoder/node";
import { writeFiles } from "../output/write-files.js";
import type { FolderJournal } from "./folder-journal.js";

export declare namespace writeModel {
  interface Options extends Omit<writeFiles.Options, "source" | "target"> {
    /** The checkpoint's folder, for tokenizer files. */
    readonly from: string;
    /** An empty folder to write to. */
    readonly to: string;
    readonly journal?: FolderJournal | undefined;
  }
  type Report = writeFiles.Report;
}

/** `writeFiles` from a directory on disk to another. */
export async function writeModel({ from, to, ...options }: writeModel.Options): Promise<writeModel.Report> {
  return writeFiles({ ...options, source: await directorySource(from), target: directoryTarget(to) });
}
