/**
 * Kills `kvfold fold --resume` at random moments, again and again, and checks each fold that got to its end: the bytes
 * are those of a fold that was never killed, and nothing else is left. Folds the embedded model.
 * `node bench/kill-resume.mjs [--kills 20] [--seed 1] [--method svd-a] [--heal none] [--save-moments 1]`
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { createRandom } from "@kvfold/runtime";
import { assetPath, modelFolder, repositoryPath, textOption } from "./paths.mjs";
import { option, withTemporaryFolder } from "./support.mjs";

const main = repositoryPath("apps/cli/dist/main.js");
const kills = option("kills", 20);
const next = createRandom(option("seed", 1));
const method = textOption("method", "svd-a");
const heal = textOption("heal", "none");
const savesMoments = option("save-moments", 1) === 1 && method !== "svd-w";

const text = assetPath("text/calibration.u16");
const settings = [
  `--keep 1/2 --method ${method} --heal ${heal} --quiet --windows 2 --window 128 --calibration`.split(" "),
  text,
].flat();

await withTemporaryFolder(async (root) => {
  const temporary = join(root, "temporary");
  await mkdir(temporary);
  const place = (name) => join(root, name);
  const start = (name) => {
    const moments = savesMoments ? ["--save-moments", join(place(name), "moments")] : [];
    const output = ["-o", join(place(name), "model"), "--resume"];
    const args = [main, "fold", modelFolder("prose-6m"), ...output, ...settings, ...moments];
    return spawn(process.execPath, args, {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ["ignore", "ignore", "pipe"],
    });
  };

  await mkdir(place("whole"));
  const began = performance.now();
  await finished(start("whole"));
  const duration = performance.now() - began;
  const whole = await contentOf(place("whole"));

  const counts = { killed: 0, finished: 0, atTheEnd: 0 };
  while (counts.killed < kills) {
    await rm(place("killed"), { recursive: true, force: true });
    await mkdir(place("killed"));
    // Each fold is killed some times, and then left to end by itself.
    for (let left = 1 + Math.floor(next() * 5); left > 0 && counts.killed < kills; left--)
      if (await killedWithin(start("killed"), next() * 1.1 * duration)) counts.killed++;
    if (await hasOutput(place("killed"))) counts.atTheEnd++;
    await finished(start("killed"), { complete: await hasOutput(place("killed")) });
    counts.finished++;
    requireSame(await contentOf(place("killed")), whole);
    requireNothing(await readdir(temporary), "the temporary folder");
    process.stdout.write(`\r${counts.killed} kills, ${counts.finished} folds`);
  }
  console.log(
    `\r${counts.killed} kills of folds that take ${(duration / 1000).toFixed(1)} s; all ${counts.finished} folds ended in the same bytes and left nothing behind (${counts.atTheEnd} were killed with their output in place).`,
  );
});

/** Kills a process after a while, and says whether it was still running. */
async function killedWithin(child, milliseconds) {
  child.stderr.resume();
  const exit = once(child, "exit");
  await Promise.race([exit, wait(milliseconds)]);
  child.kill("SIGKILL");
  const [, signal] = await exit;
  return signal === "SIGKILL";
}

/** Waits for a fold that is left alone. One that is complete already may say that its output exists. */
async function finished(child, { complete = false } = {}) {
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  const [code] = await once(child, "exit");
  if (code === 0 || (complete && errors.includes("is not empty"))) return;
  throw new Error(`expected the fold to end well, found exit code ${code}: ${errors}`);
}

async function hasOutput(folder) {
  return (await readdir(folder)).includes("model");
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
