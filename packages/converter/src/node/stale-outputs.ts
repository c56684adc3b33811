import { lstat, readdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { followLinks } from "./follow-links.js";
import { pidOf, stateOf } from "./process-tag.js";
import { parseSibling, type TemporarySibling } from "./temporary-path.js";

/** What processes that write the same output, or did and were killed, left beside it. */
export interface StaleOutputs {
  /** Process ids of those that still run. */
  readonly running: readonly number[];
  /** Paths of what could not be removed, or of which nobody knows whether it is still being written. */
  readonly kept: readonly string[];
  /** Whether an output that was just being replaced was put back. */
  readonly restored: boolean;
}

/**
 * Removes what killed processes left beside an output: folders and files that they had not finished. What a running
 * process writes stays, and so does what another machine, container or user wrote.
 */
export async function removeStaleOutputs(target: string): Promise<StaleOutputs> {
  const place = await followLinks(target);
  const names = await readdir(dirname(place)).catch((): string[] => []);
  const siblings = names.flatMap((name) => parseSibling(place, name) ?? []);
  const running = siblings.filter((sibling) => stateOfSibling(sibling) === "running");
  const stale = siblings.filter((sibling) => !running.includes(sibling));
  const kept: string[] = [];
  let restored = false;
  // What was replaced comes first: it is the only copy as long as the partial folder beside it has not taken its place.
  for (const sibling of stale.toSorted(replacedFirst)) {
    if (sibling.kind === "replaced" && isOnlyCopy(sibling, stale)) {
      if (await restore(sibling, place)) restored = true;
      else kept.push(sibling.path);
    } else if (!(await removeOwn(sibling, kept))) kept.push(sibling.path);
  }
  return { running: [...new Set(running.map(({ tag }) => pidOf(tag ?? "")))], kept, restored };
}

const stateOfSibling = ({ tag }: TemporarySibling) => (tag === undefined ? "unknown" : stateOf(tag));

const replacedFirst = (one: TemporarySibling, other: TemporarySibling): number =>
  other.kind.localeCompare(one.kind);

/** Until the new output is in place, its partial folder is there. */
const isOnlyCopy = ({ key }: TemporarySibling, siblings: readonly TemporarySibling[]): boolean =>
  siblings.some((sibling) => sibling.kind === "partial" && sibling.key === key);

/** Puts an output back, unless there is another one by now. */
async function restore(sibling: TemporarySibling, place: string): Promise<boolean> {
  if (stateOfSibling(sibling) !== "ended") return false;
  return rename(sibling.path, place).then(
    () => true,
    () => false,
  );
}

/** Removes what this user's ended processes left; `kept` names copies that go with a partial folder. */
async function removeOwn(sibling: TemporarySibling, kept: readonly string[]): Promise<boolean> {
  const { path, key } = sibling;
  if (stateOfSibling(sibling) !== "ended") return false;
  // Without its partial folder the next run would take the kept copy for one that was replaced.
  if (kept.some((other) => other.endsWith(key))) return false;
  try {
    // A folder of another user may change while it is being removed, and lead elsewhere.
    const info = await lstat(path);
    if (process.getuid !== undefined && info.uid !== process.getuid()) return false;
    await rm(path, { recursive: true, force: true });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}
