/**
 * Stops `kvfold tune --resume` at random moments, again and again, by an interrupt (Ctrl-C) and by SIGKILL in turn, and checks each
 * tuning that got to its end: the bytes are those of a tuning that was never stopped, and nothing else is left. Tunes a fold of
 * the embedded model.
 * `npm run build && node bench/kill-tune.mjs [--stops 20] [--seed 1] [--steps 4] [--adapters merge]`
 */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "@kvfold/runtime";
import { finished, startCommand, stopAtRandom } from "./killed-process.mjs";
import { assetPath, modelFolder, textOption } from "./paths.mjs";
import { option, withTemporaryFolder } from "./support.mjs";

const settings = [
  `--steps ${option("steps", 4)} --windows 1 --window 64 --held-out 2 --rank 4 --threads 1 --resume`.split(
    " ",
  ),
  ["--adapters", textOption("adapters", "merge")],
  ["--text", assetPath("text/validation.u16")],
].flat();

await withTemporaryFolder(async (root) => {
  const temporary = join(root, "temporary");
  await mkdir(temporary);
  const [model, folded] = [modelFolder("prose-6m"), join(root, "folded")];
  await finished(
    startCommand(["fold", model, "-o", folded, "--keep", "1/2", "--method", "svd-w"], temporary),
  );
  const start = (folder) => {
    const paths = [folded, "--original", model, "-o", join(folder, "model")];
    return startCommand(["tune", ...paths, ...settings], temporary);
  };
  let resumable = 0;
  const counts = await stopAtRandom({
    root,
    temporary,
    start,
    stops: option("stops", 20),
    random: createRandom(option("seed", 1)),
    signals: ["SIGINT", "SIGKILL"],
    async onStopped(folder) {
      if ((await readdir(folder)).includes(".model.kvfold-tuning")) resumable++;
    },
  });
  console.log(
    `\r${counts.stopped} stops of tunings that take ${counts.duration.toFixed(1)} s; all ${counts.finished} ended in the same bytes and left nothing behind (${resumable} runs left a state to go on from).`,
  );
});
