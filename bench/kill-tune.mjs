/**
 * Stops `kvfold tune --resume` at random moments, again and again, by an interrupt (Ctrl-C) and by SIGKILL in turn, and checks each
 * tuning that got to its end: the bytes are those of a tuning that was never stopped, and nothing else is left. Tunes a fold of
 * the embedded model.
 * `npm run build && node bench/kill-tune.mjs [--stops 20] [--seed 1] [--steps 4]`
 */
import { spawn } from "node:child_process";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "@kvfold/runtime";
import { contentOf, finished, requireNothing, requireSame, stoppedWithin } from "./killed-process.mjs";
import { assetPath, modelFolder, repositoryPath, textOption } from "./paths.mjs";
import { option, withTemporaryFolder } from "./support.mjs";

const main = repositoryPath("apps/cli/dist/main.js");
const stops = option("stops", 20);
const next = createRandom(option("seed", 1));
const adapters = textOption("adapters", "merge");
const training = `--steps ${option("steps", 4)} --windows 1 --window 64 --held-out 2 --rank 4 --threads 1`;
const text = ["--text", assetPath("text/validation.u16")];

await withTemporaryFolder(async (root) => {
  const temporary = join(root, "temporary");
  await mkdir(temporary);
  const place = (name) => join(root, name);
  const run = (args) =>
    spawn(process.execPath, [main, ...args, "--quiet"], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ["ignore", "ignore", "pipe"],
    });
  const model = modelFolder("prose-6m");
  await finished(run(["fold", model, "-o", place("folded"), "--keep", "1/2", "--method", "svd-w"]));
  const start = (name) => {
    const paths = [place("folded"), "--original", model, "-o", join(place(name), "model")];
    return run(["tune", ...paths, ...text, ...training.split(" "), "--adapters", adapters, "--resume"]);
  };

  await mkdir(place("whole"));
  await finished(start("whole"));
  const began = performance.now();
  await rm(place("whole"), { recursive: true });
  await mkdir(place("whole"));
  // The second run: the first also brings files into memory.
  await finished(start("whole"));
  const duration = performance.now() - began;
  const whole = await contentOf(place("whole"));

  const counts = { stopped: 0, resumed: 0, finished: 0 };
  while (counts.stopped < stops) {
    await rm(place("stopped"), { recursive: true, force: true });
    await mkdir(place("stopped"));
    // Each tuning is stopped some times, and then left to end by itself.
    for (let left = 1 + Math.floor(next() * 5); left > 0 && counts.stopped < stops; left--) {
      const signal = counts.stopped % 2 === 0 ? "SIGINT" : "SIGKILL";
      if (await stoppedWithin(start("stopped"), next() * 1.1 * duration, signal)) counts.stopped++;
      if ((await readdir(place("stopped"))).includes(".model.kvfold-tuning")) counts.resumed++;
    }
    const complete = (await readdir(place("stopped"))).includes("model");
    await finished(start("stopped"), { complete });
    counts.finished++;
    requireSame(await contentOf(place("stopped")), whole);
    requireNothing(await readdir(temporary), "the temporary folder");
    process.stdout.write(`\r${counts.stopped} stops, ${counts.finished} tunings`);
  }
  console.log(
    `\r${counts.stopped} stops of tunings that take ${(duration / 1000).toFixed(1)} s; all ${counts.finished} ended in the same bytes and left nothing behind (${counts.resumed} runs left a state to go on from).`,
  );
});
