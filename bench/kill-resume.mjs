/**
 * Kills `kvfold fold --resume` at random moments, again and again, and checks each fold that got to its end: the bytes
 * are those of a fold that was never killed, and nothing else is left. Folds the embedded model.
 * `node bench/kill-resume.mjs [--kills 20] [--seed 1] [--method svd-a] [--heal none] [--save-moments 1]`
 */
import { spawn } from "node:child_process";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "@kvfold/runtime";
import { contentOf, finished, requireNothing, requireSame, stoppedWithin } from "./killed-process.mjs";
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
      if (await stoppedWithin(start("killed"), next() * 1.1 * duration)) counts.killed++;
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

async function hasOutput(folder) {
  return (await readdir(folder)).includes("model");
}
