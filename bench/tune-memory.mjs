/**
 * Peak memory of a step of tuning on a synthetic Llama of the widths of 1 billion parameters, folded to 1/4.
 * `npm run build && node bench/tune-memory.mjs [--layers 2] [--windows 4] [--window 1024] [--rank 64]`
 *
 * It folds in a process of its own, so that the peak is that of the tuning. A few layers are enough to tell the peak of all: the
 * weights of two already fill the memory in which weights are kept, so that each further layer adds only the hidden states before it
 * and its adapters (`grows by`).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tune } from "@kvfold/converter/node";
import { billionConfig, randomTokens, writeBillion } from "./billion.mjs";
import { machine, textOption } from "./paths.mjs";
import { fold, option, provider, seconds, withTemporaryFolder } from "./support.mjs";

const layers = option("layers", 2);
const [count, length, rank] = [option("windows", 4), option("window", 1024), option("rank", 64)];
const gib = (bytes) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

async function prepare(folder) {
  await writeBillion(join(folder, "model"), layers);
  const plan = { keep: "1/4", method: "anchored", budget: "uniform", heal: "none" };
  await fold(join(folder, "model"), join(folder, "folded"), plan, { windows: randomTokens(1, 256) });
}

/** What a further layer takes: hidden states of the windows, and its adapters with their moments, gradients and best values. */
function growth() {
  const { hidden_size: d, intermediate_size: m } = billionConfig;
  const parameters = rank * (4 * 2 * d + 3 * (d + m));
  return 4 * count * length * d + 5 * 4 * parameters;
}

async function measure(folder) {
  const before = process.resourceUsage().maxRSS * 1024;
  const time = await seconds(() =>
    tune({
      folded: join(folder, "folded"),
      original: join(folder, "model"),
      to: join(folder, "tuned"),
      windows: randomTokens(count, length + 1),
      heldOut: 0,
      steps: 1,
      windowsPerStep: count,
      rank,
      adapters: "keep",
      provider,
    }),
  );
  const peak = process.resourceUsage().maxRSS * 1024;
  console.log(machine());
  console.log(
    `${layers} layers of width ${billionConfig.hidden_size}, ${count} windows of ${length}, rank ${rank}`,
  );
  console.log(
    `peak resident memory ${gib(peak)} (${gib(before)} before), grows by ${gib(growth())} a layer: ${gib(peak + (billionConfig.num_hidden_layers - layers) * growth())} with all ${billionConfig.num_hidden_layers}; ${time.toFixed(0)} s with the writing of the model`,
  );
}

const prepared = textOption("prepare");
if (prepared !== undefined) await prepare(prepared);
else
  await withTemporaryFolder(async (folder) => {
    const script = fileURLToPath(import.meta.url);
    const options = ["--prepare", folder, "--layers", String(layers)];
    const child = spawn(process.execPath, [script, ...options], { stdio: "inherit" });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error("the fold failed");
    await measure(folder);
  });
