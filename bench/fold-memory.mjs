/**
 * Peak memory of folding a synthetic Llama of 1 billion parameters (random weights, float16, sharded as written here).
 * `node bench/fold-memory.mjs [--windows 8] [--window 512]`
 */
import { join } from "node:path";
import { spillingHiddenStates } from "@kvfold/calibration/node";
import { randomTokens, writeBillion } from "./billion.mjs";
import { machine } from "./paths.mjs";
import { fold, option, seconds, withTemporaryFolder } from "./support.mjs";

await withTemporaryFolder(async (folder) => {
  const parameters = await writeBillion(join(folder, "model"));
  const length = option("window", 512);
  const windows = randomTokens(option("windows", 8), length);
  const before = process.resourceUsage().maxRSS;
  const time = await seconds(() =>
    fold(
      join(folder, "model"),
      join(folder, "folded"),
      { keep: "1/2", method: "svd-a", dtypes: ["fp16"] },
      { windows, hiddenStates: spillingHiddenStates({ folder, memoryBytes: 64 * 2 ** 20 }) },
    ),
  );
  const peak = process.resourceUsage().maxRSS * 1024;
  console.log(machine());
  console.log(`${(parameters / 1e9).toFixed(2)} billion parameters, ${windows.length} windows of ${length}`);
  console.log(
    `peak resident memory ${(peak / 2 ** 30).toFixed(2)} GiB (${(before / 2 ** 20).toFixed(2)} GiB before folding), ${time.toFixed(0)} s`,
  );
});
