/**
 * What adapters win back: a model is folded by each method to each share of its cache, tuned to predict what the original
 * predicts, and measured before and after. The control is the unfolded model, tuned on the text alone.
 *
 * `npm run build && node bench/tune.mjs [--rows prose-6m:paper:1/2,prose-6m:anchored:1/8,prose-6m:control] [--models FOLDER]
 *   [--texts FOLDER] [--folds FOLDER] [--tuned FOLDER] [--device webgpu] [--out FILE.json] [--parts tune,evaluate,retrieval]
 *   [--steps N] [--windows N] [--rank 64] [--rate 5e-4] [--length N] [--calibration N] [--evaluate N] [--limit N] [--text FILE.u16]
 *   [--timings] [--buffers all|some] [--threads N]`
 *
 * A row is `MODEL:METHOD:SHARE`, `MODEL:METHOD:SHARE:loss` for bases of `--metric loss`, `MODEL:METHOD:SHARE:healed` for a method
 * that is not healed by itself, or `MODEL:control`. Without `--rows`, the rows of prose-6m, which take about an hour on two
 * cores. Steps, windows and texts are those of the model's table (bench/tune/rows.mjs) unless told otherwise; `--texts` names the
 * folder that holds `tune-prose.u16` and `mix/`. Folds are taken from `--folds` (`FOLDER/mix-30m-anchored-1-4`), and are made
 * there where they are missing.
 *
 * Each row goes into the file of `--out` as soon as its model is tuned, and again after each measurement, so nothing is lost
 * when a run is ended. What the file has is not done again: `--parts tune` first, and `--parts evaluate` or `retrieval` in
 * other processes, which need the same `--tuned FOLDER`, where tuned models are kept. Times of steps are printed.
 *
 * On a GPU, one row in each process, folds made before (`--folds`), the CPU's threads for what is measured:
 *
 *     node bench/tune.mjs --device webgpu --models M --texts T --folds F --tuned R --out a.json --rows mix-30m:anchored:1/4 --parts tune
 *     node bench/tune.mjs --models M --texts T --folds F --tuned R --out a.json --rows mix-30m:anchored:1/4 --parts evaluate
 *     node bench/tune.mjs --models M --texts T --folds F --tuned R --out a.json --rows mix-30m:anchored:1/4 --parts retrieval --limit 8
 *
 * The same for `mix-30m:anchored:1/2`, `mix-30m:anchored:1/8`, `mix-30m:paper:1/2`, `mix-30m:control`, and for
 * `prose-27m:paper:1/2`, `prose-27m:paper:1/4`, `prose-27m:anchored:1/4`, `:1/8`, `:1/16` and `prose-27m:control`. `--steps 5` tries a row
 * out: it prints what a step takes, and where that time goes with `--timings`. `--streams host` takes hidden states to the
 * processor and back for each block, as it is without such memory on the GPU; `--buffers some` lets ONNX Runtime give large
 * buffers back after each run.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseTokenBytes, tokenWindows } from "@kvfold/calibration";
import { tune } from "@kvfold/converter/node";
import { chooseDevice, nodeProvider } from "@kvfold/runtime-node";
import {
  disableTelemetry,
  evaluateModels,
  foldCheckpoint,
  probeRetrieval,
  quietContext,
  renderTable,
  tokenFile,
} from "kvfold/jobs";
import { createTimings, timedProvider } from "./fold-timings.mjs";
import { machine, modelFolder, option, textOption, threadsOption } from "./paths.mjs";
import { median, withTemporaryFolder } from "./support.mjs";
import { respell } from "./tune/plain-punctuation.mjs";
import { foldFolder, isFold, settingsOf, wantedRows } from "./tune/rows.mjs";

disableTelemetry();

const device = textOption("device", "cpu");
const threads = threadsOption();
const parts = textOption("parts", "tune,evaluate,retrieval").split(",");
const out = textOption("out");
const readRows = async () =>
  out !== undefined && existsSync(out) ? JSON.parse(await readFile(out, "utf8")) : [];
const rows = await readRows();

/** On a GPU, all blocks of a small model and their gradients stay open, and what the original says of all windows is kept. */
const KEPT = { residentBytes: 16 * 2 ** 30, originalBytes: 16 * 2 ** 30 };

const KEY = ["row", "steps", "windowsPerStep", "rank", "learningRate"];
const isSame = (row, other) => KEY.every((name) => other[name] === row[name]);

/** Puts a row among those that other processes have written meanwhile. */
async function save(row) {
  if (out === undefined) return;
  const others = (await readRows()).filter((other) => !isSame(row, other));
  const path = `${out}.${process.pid}`;
  await writeFile(path, `${JSON.stringify([...others, row], null, 1)}\n`);
  await rename(path, out);
}

const seconds = (since) => (performance.now() - since) / 1000;

/** The folded model of a row, made where it is missing. */
async function foldOf(row, { calibration, calibrationWindows, length }, folder) {
  const output = foldFolder(row, folder);
  if (isFold(output)) return output;
  console.error(`${row.row}: folding into ${output}`);
  await mkdir(join(output, ".."), { recursive: true });
  const text = { files: [tokenFile(calibration())], windows: calibrationWindows, window: length };
  await foldCheckpoint(
    {
      model: modelFolder(row.model),
      output,
      existing: "replace",
      keep: row.keep,
      method: row.method,
      threads,
      ...(row.metric !== "output" && { metric: row.metric }),
      ...(row.heal !== undefined && { heal: row.heal }),
      ...(row.keep !== "1" && { calibration: text }),
    },
    quietContext,
  );
  return output;
}

/** Windows to learn from, eight of them held out. */
async function tuningWindows({ model }, { tuning, respelled, steps, windowsPerStep, length }) {
  const { vocab_size: vocabulary } = JSON.parse(
    await readFile(join(modelFolder(model), "config.json"), "utf8"),
  );
  const windows = (tokens) => tokenWindows(tokens, { length: length + 1 });
  const tokens = parseTokenBytes(await readFile(tuning()), vocabulary, tuning());
  const plain = respelled ? windows(await respell(windows(tokens), modelFolder(model))) : windows(tokens);
  return plain.slice(0, steps * windowsPerStep + 8);
}

/** Providers with graphs for the CPU are not asked for memory of a device. */
function providerOf(chosen, timings) {
  const provider = nodeProvider({
    executionProviders: [chosen],
    gpuBuffers: textOption("buffers", "all"),
    threads,
  });
  const placed = textOption("streams") === "host" ? { ...provider, graph: "delta" } : provider;
  return timings ? timedProvider(placed, timings, taskOf) : placed;
}

/** What a graph of a tuning is for. */
function taskOf({ inputs, outputs }) {
  const names = [...inputs, ...outputs].map(({ name }) => name);
  if (names.includes("parameter_gradients")) return "blocks back";
  if (names.includes("loss")) return names.includes("grad.loss") ? "head and back" : "head";
  if (names.includes("input_ids")) return "embedding";
  if (names.includes("hidden_out")) return names.length > 2 ? "folded blocks" : "original blocks";
  return "memory";
}

/** Where the time of a step went: runs that are asked for, what was waited for (`read`), and the rest. */
function printTimings(timings, taken) {
  for (const line of timings.lines()) console.error(line);
  console.error(
    `${(taken - timings.seconds()).toFixed(1).padStart(8)} s  AdamW and all else on the processor`,
  );
  timings.clear();
}

async function tuneRow(row, settings, to, folder) {
  const folded = await foldOf(row, settings, folder);
  const windows = await tuningWindows(row, settings);
  const { device: chosen, reason } = await chooseDevice(device);
  console.error(`${row.row}: ${reason}, ${windows.length} windows of ${settings.length + 1}`);
  const started = performance.now();
  const times = [];
  const timings = process.argv.includes("--timings") ? createTimings() : undefined;
  let last = started;
  const { steps, windowsPerStep, rank, learningRate, length } = settings;
  const report = await tune({
    steps,
    windowsPerStep,
    rank,
    learningRate,
    folded,
    original: modelFolder(row.model),
    to,
    existing: "replace",
    windows,
    loss: row.loss,
    provider: providerOf(chosen, timings),
    ...(chosen === "cpu" ? {} : KEPT),
    onProgress({ step, loss, heldOut }) {
      times.push(seconds(last));
      last = performance.now();
      const shown = `loss ${loss.toFixed(4)}, held out ${heldOut?.toFixed(4)}`;
      console.error(
        `${row.row}: step ${step}/${steps}, ${shown}, ${times.at(-1).toFixed(2)} s, ${seconds(started).toFixed(0)} s in all`,
      );
      if (timings) printTimings(timings, times.at(-1));
    },
  });
  const tuned = { taken: report.steps, kept: report.kept, seconds: seconds(started) };
  const { losses, heldOut } = report;
  return { device: chosen, length, ...tuned, stepSeconds: median(times), losses, heldOut };
}

/** Perplexities on each text, and the ratio to the original's, before and after. */
async function evaluateRow(row, { texts, evaluationWindows, length }, to, folder) {
  const models = [modelFolder(row.model), foldFolder(row, folder), to];
  const figures = {};
  for (const { name, path } of texts()) {
    const measured = await evaluateModels(
      {
        models,
        files: [tokenFile(path)],
        windows: evaluationWindows,
        window: length,
        divergence: "skip",
        device,
        threads,
      },
      quietContext,
    );
    const [original, before, after] = measured.models.map(({ perplexity }) => perplexity);
    figures[name] = { original, before: before / original, after: after / original };
    console.error(
      `${row.row}: ${name} ${figures[name].before.toFixed(4)} before, ${figures[name].after.toFixed(4)} after`,
    );
  }
  return figures;
}

async function probeRow({ retrieval }, to) {
  const limit = textOption("limit") && option("limit");
  const { models } = await probeRetrieval(
    { models: [to], file: retrieval(), limit, device, threads },
    quietContext,
  );
  return models[0].groups;
}

async function measure(row, folder) {
  const settings = settingsOf(row.model);
  const key = { ...row, ...Object.fromEntries(KEY.slice(1).map((name) => [name, settings[name]])) };
  const to = `${foldFolder(row, folder)}-tuned-${settings.steps}`.replace(
    textOption("folds", folder),
    textOption("tuned", folder),
  );
  let found = rows.find((other) => isSame(key, other));
  const add = async (figures) => {
    if (found === undefined) rows.push(key);
    found = Object.assign(found ?? key, figures);
    await save(found);
  };
  if (parts.includes("tune") && found?.losses === undefined)
    await add(await tuneRow(row, settings, to, folder));
  if (!isFold(to)) return console.error(`${row.row}: ${to} holds no tuned model; run --parts tune first`);
  if (parts.includes("evaluate") && found?.texts === undefined)
    await add({ texts: await evaluateRow(row, settings, to, folder) });
  if (parts.includes("retrieval") && settings.retrieval !== undefined && found?.retrieval === undefined)
    await add({ retrieval: await probeRow(settings, to) });
}

console.error(machine());
await withTemporaryFolder(async (folder) => {
  for (const row of wantedRows()) await measure(row, folder);
});

const ratios = (when) => (row) =>
  Object.entries(row.texts ?? {})
    .map(([name, figures]) => `${name} ${figures[when].toFixed(4)}`)
    .join(", ");
const columns = [
  {
    heading: "method",
    cell: ({ method }) => (method === "none" ? "unfolded, on the text (control)" : method),
  },
  { heading: "model", cell: ({ model }) => model },
  { heading: "cache", cell: ({ keep }) => keep },
  { heading: "metric", cell: ({ metric }) => metric },
  { heading: "before", align: "right", cell: ratios("before") },
  { heading: "after", align: "right", cell: ratios("after") },
  { heading: "steps", align: "right", cell: ({ taken }) => String(taken) },
  {
    heading: "tokens",
    align: "right",
    cell: ({ taken, windowsPerStep, length }) => String(taken * windowsPerStep * length),
  },
  { heading: "seconds", align: "right", cell: ({ seconds }) => seconds.toFixed(0) },
  { heading: "of a step", align: "right", cell: ({ stepSeconds }) => stepSeconds.toFixed(2) },
];
console.log("perplexity as a ratio to that of the original, before and after tuning");
console.log(renderTable(rows, columns));
