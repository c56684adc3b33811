/**
 * Kills `kvfold fold --resume` at random moments, again and again, and checks each fold that got to its end: the bytes
 * are those of a fold that was never killed, and nothing else is left. Folds the embedded model.
 * `node bench/kill-resume.mjs [--kills 20] [--seed 1] [--method svd-a] [--heal none] [--save-moments 1]`
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "@kvfold/runtime";
import { startCommand, stopAtRandom } from "./killed-process.mjs";
import { assetPath, modelFolder, textOption } from "./paths.mjs";
import { option, withTemporaryFolder } from "./support.mjs";

const method = textOption("method", "svd-a");
const heal = textOption("heal", "none");
const savesMoments = option("save-moments", 1) === 1 && method !== "svd-w";
const settings = `--keep 1/2 --method ${method} --heal ${heal} --windows 2 --window 128 --resume`.split(" ");
const text = ["--calibration", assetPath("text/calibration.u16")];

await withTemporaryFolder(async (root) => {
  const temporary = join(root, "temporary");
  await mkdir(temporary);
  const start = (folder) => {
    const moments = savesMoments ? ["--save-moments", join(folder, "moments")] : [];
    const paths = [modelFolder("prose-6m"), "-o", join(folder, "model")];
    return startCommand(["fold", ...paths, ...settings, ...text, ...moments], temporary);
  };
  const { stopped, finished, stoppedAtTheEnd, duration } = await stopAtRandom({
    root,
    temporary,
    start,
    stops: option("kills", 20),
    random: createRandom(option("seed", 1)),
  });
  console.log(
    `\r${stopped} kills of folds that take ${duration.toFixed(1)} s; all ${finished} folds ended in the same bytes and left nothing behind (${stoppedAtTheEnd} were killed with their output in place).`,
  );
});
