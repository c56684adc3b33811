/** What the scripts share that stop a command again and again, and compare what it ends with. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/** Stops a process by a signal after a while, and says whether it was still running. */
export async function stoppedWithin(child, milliseconds, signal = "SIGKILL") {
  child.stderr.resume();
  const exit = once(child, "exit");
  const ended = await Promise.race([exit, wait(milliseconds)]);
  child.kill(signal);
  const [code] = await exit;
  return ended === undefined && code !== 0;
}

/** Waits for a process that is left alone. One whose output is complete already may say that it exists. */
export async function finished(child, { complete = false } = {}) {
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  const [code] = await once(child, "exit");
  if (code === 0 || (complete && errors.includes("is not empty"))) return;
  throw new Error(`expected the command to end well, found exit code ${code}: ${errors}`);
}

/** Names and SHA-256 of all files in a folder, links and hidden ones included, but for when `kvfold.json` was made. */
export async function contentOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    if (!entry.isFile()) return [name, "no file"];
    const bytes = name.endsWith("kvfold.json") ? await recordOf(path) : await readFile(path);
    return [name, createHash("sha256").update(bytes).digest("hex")];
  });
  return Object.fromEntries(
    (await Promise.all(files)).toSorted(([one], [other]) => one.localeCompare(other)),
  );
}

async function recordOf(path) {
  const { created: _, seconds: __, ...record } = JSON.parse(await readFile(path, "utf8"));
  return JSON.stringify(record);
}

export function requireSame(found, expected) {
  const names = new Set([...Object.keys(found), ...Object.keys(expected)]);
  const different = [...names].filter((name) => found[name] !== expected[name]);
  requireNothing(different, "the folder (missing, left over or of other content)");
}

export function requireNothing(names, where) {
  if (names.length > 0) throw new Error(`expected nothing in ${where}, found ${names.join(", ")}`);
}
