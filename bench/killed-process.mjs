/** Stops a command again and again, and compares what it ends with. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { repositoryPath } from "./paths.mjs";
import { seconds } from "./support.mjs";

/** Starts a command of the built kvfold whose temporary files go to the folder `temporary`. */
export const startCommand = (args, temporary) =>
  spawn(process.execPath, [repositoryPath("apps/cli/dist/main.js"), ...args, "--quiet"], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ["ignore", "ignore", "pipe"],
  });

/**
 * Runs a command to its end, then stops it at random moments and starts it again, and checks each run that gets to its end: the bytes
 * in its folder are those of the run that was never stopped, and the temporary folder is empty.
 *
 * `start(folder)` starts the command, whose output goes to `model` in that folder; `signals` stop it in turn; `onStopped(folder)` sees
 * what a run left. Folders are made in `root`, the temporary one is `temporary`. `random()` gives numbers in [0, 1).
 */
export async function stopAtRandom({
  root,
  temporary,
  start,
  stops,
  random,
  signals = ["SIGKILL"],
  onStopped = async () => {},
}) {
  const [whole, stopped] = [join(root, "whole"), join(root, "stopped")];
  const runWhole = async () => {
    await renew(whole);
    return seconds(() => finished(start(whole)));
  };
  // The first run also brings files into memory; the second is as long as those that are stopped.
  await runWhole();
  const duration = await runWhole();
  const expected = await contentOf(whole);

  const counts = { stopped: 0, finished: 0, stoppedAtTheEnd: 0 };
  while (counts.stopped < stops) {
    await renew(stopped);
    // Each run is stopped some times, and then left to end by itself.
    for (let left = 1 + Math.floor(random() * 5); left > 0 && counts.stopped < stops; left--) {
      const signal = signals[counts.stopped % signals.length];
      if (await stoppedWithin(start(stopped), random() * 1.1 * 1000 * duration, signal)) counts.stopped++;
      await onStopped(stopped);
    }
    const complete = (await readdir(stopped)).includes("model");
    if (complete) counts.stoppedAtTheEnd++;
    await finished(start(stopped), { complete });
    counts.finished++;
    requireSame(await contentOf(stopped), expected);
    requireNothing(await readdir(temporary), "the temporary folder");
    process.stdout.write(`\r${counts.stopped} stops, ${counts.finished} runs that ended`);
  }
  return { ...counts, duration };
}

/** Makes a folder that is empty. */
async function renew(folder) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
}

/** Stops a process by a signal after a while, and says whether it was still running. */
async function stoppedWithin(child, milliseconds, signal) {
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
async function contentOf(folder) {
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

function requireSame(found, expected) {
  const names = new Set([...Object.keys(found), ...Object.keys(expected)]);
  const different = [...names].filter((name) => found[name] !== expected[name]);
  requireNothing(different, "the folder (missing, left over or of other content)");
}

function requireNothing(names, where) {
  if (names.length > 0) throw new Error(`expected nothing in ${where}, found ${names.join(", ")}`);
}
