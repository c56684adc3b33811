import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { HubFile } from "@kvfold/converter/internals";
import { writeWholeFile } from "@kvfold/converter/node";
import { hostOf, type Repository } from "./repository.js";

/** A commit of which everything that is needed is there. */
export interface Snapshot {
  readonly commit: string;
  readonly files: readonly Pick<HubFile, "name" | "byteLength">[];
}

/** What is kept of one repository: `<host>/<owner>/<name>/<commit>/…`, and what each revision was last. */
export interface SnapshotCache {
  /** The folder of a commit's files. */
  folder(commit: string): string;
  /** What a revision was when it was fetched last, if all of its files are still there; with one graph or as a whole. */
  find(revision: string, graph?: string): Promise<Snapshot | undefined>;
  /** Notes that a revision is complete. */
  keep(revision: string, snapshot: Snapshot, graph?: string): Promise<void>;
}

/** The part of a cache folder that belongs to a repository. */
export function snapshotCache(cacheFolder: string, repository: Repository): SnapshotCache {
  // Colons have no place in file names everywhere.
  const place = join(cacheFolder, hostOf(repository).replaceAll(":", "_"), repository.name);
  const folder = (commit: string) => join(place, commit);
  const revisions = join(place, "revisions");
  // A revision has no colon.
  const note = (revision: string, graph?: string) =>
    join(revisions, `${encodeURIComponent(graph === undefined ? revision : `${revision}:${graph}`)}.json`);
  return {
    folder,
    async find(revision, graph) {
      const snapshot = await readNote(note(revision, graph));
      if (snapshot === undefined) return undefined;
      const there = await Promise.all(
        snapshot.files.map(({ name, byteLength }) =>
          hasBytes(join(folder(snapshot.commit), name), byteLength),
        ),
      );
      return there.every(Boolean) ? snapshot : undefined;
    },
    async keep(revision, snapshot, graph) {
      await mkdir(revisions, { recursive: true });
      for (const name of new Set([revision, snapshot.commit]))
        await writeWholeFile(note(name, graph), JSON.stringify(snapshot), { existing: "replace" });
    },
  };
}

/** Whether there is a file of that size. */
export const hasBytes = (path: string, byteLength: number): Promise<boolean> =>
  stat(path).then(
    (info) => info.isFile() && info.size === byteLength,
    () => false,
  );

/** A note that is missing or was not written by this is none. */
async function readNote(path: string): Promise<Snapshot | undefined> {
  try {
    const { commit, files } = JSON.parse(await readFile(path, "utf8")) as Snapshot;
    return { commit, files: files.map(({ name, byteLength }) => ({ name, byteLength })) };
  } catch {
    return undefined;
  }
}
