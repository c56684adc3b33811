/**
 * What adapters win back: a model is folded by each method to each share of its cache, tuned to predict what the original
 * predicts, and measured before and after. The control is the unfolded model tuned on the text alone.
 *
 * `npm run build && node bench/tune.mjs [--model prose-6m] [--models FOLDER] [--folds paper:1/2,paper:1/4,anchored:1/4,anchored:1/8] [--metric output]
 *   [--steps 60] [--windows 6] [--calibration 128] [--rank 64] [--rate 5e-4] [--length 1024] [--text FILE.u16] [--control yes] [--out FILE.json]`
 *
 * `--windows` is those of a step. Folds calibrate on 128 windows of calibration.u16 unless told otherwise; perplexity is that of the first 64 windows
 * of validation.u16. Rows that the file of `--out` has are not measured again.
 */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseTokenBytes, tokenWindows } from "@kvfold/calibration";
import { tune } from "@kvfold/converter/node";
import {
  disableTelemetry,
  evaluateModels,
  foldCheckpoint,
  quietContext,
  renderTable,
  tokenFile,
} from "kvfold/jobs";
import { assetPath, machine, modelFolder, textOption } from "./paths.mjs";
import { option, withTemporaryFolder } from "./support.mjs";

disableTelemetry();

const name = textOption("model", "prose-6m");
const original = modelFolder(name);
const length = option("length", 1024);
const settings = {
  steps: option("steps", 60),
  windowsPerStep: option("windows", 6),
  rank: option("rank", 64),
  learningRate: option("rate", 5e-4),
};
const textPath = textOption("text", assetPath("text/calibration.u16"));
const out = textOption("out");
const rows = out !== undefined && existsSync(out) ? JSON.parse(await readFile(out, "utf8")) : [];

const metric = textOption("metric", "output");
const folds = textOption("folds", "paper:1/2,paper:1/4,anchored:1/4,anchored:1/8")
  .split(",")
  .map((fold) => fold.split(":"))
  .map(([method, keep]) => ({ method, keep, metric, loss: "distillation" }));
const control =
  textOption("control", "yes") === "yes"
    ? [{ method: "none", keep: "1", metric: "output", loss: "text" }]
    : [];

async function textWindows() {
  const tokens = parseTokenBytes(await readFile(textPath), 4096, textPath);
  const wanted = settings.steps * settings.windowsPerStep + 8;
  return tokenWindows(tokens, { length: length + 1 }).slice(0, wanted);
}

async function perplexity(model) {
  const files = [tokenFile(assetPath("text/validation.u16"))];
  return (await evaluateModels({ models: [model], files, windows: 64, window: length }, quietContext))
    .models[0].perplexity;
}

const isSame = (row, key) =>
  ["model", "method", "keep", "metric", "steps", "windowsPerStep", "rank", "learningRate"].every(
    (field) => row[field] === key[field],
  );

async function measure(fold, windows, folder) {
  const key = { model: name, ...fold, ...settings };
  if (rows.some((row) => isSame(row, key))) return;
  const [folded, to] = [join(folder, "folded"), join(folder, "tuned")];
  const calibration = {
    files: [tokenFile(assetPath("text/calibration.u16"))],
    windows: option("calibration", 128),
    window: length,
  };
  const { method, keep, loss } = fold;
  const weighs = fold.metric === "loss" && method !== "paper";
  await foldCheckpoint(
    {
      model: original,
      output: folded,
      existing: "replace",
      keep,
      method,
      ...(weighs && { metric: "loss" }),
      ...(keep !== "1" && { calibration }),
    },
    quietContext,
  );
  const before = await perplexity(folded);
  const started = performance.now();
  const report = await tune({
    ...settings,
    folded,
    original,
    to,
    existing: "replace",
    windows,
    loss,
    onProgress: ({ step, steps, loss: found, heldOut }) =>
      console.error(
        `${method} ${keep}: step ${step}/${steps}, loss ${found.toFixed(4)}, held out ${heldOut?.toFixed(4)}, ${((performance.now() - started) / 1000).toFixed(0)} s`,
      ),
  });
  const seconds = (performance.now() - started) / 1000;
  rows.push({
    ...key,
    length,
    taken: report.steps,
    kept: report.kept,
    seconds,
    before,
    after: await perplexity(to),
    losses: report.losses,
    heldOut: report.heldOut,
  });
  if (out !== undefined) await writeFile(out, `${JSON.stringify(rows, null, 1)}\n`);
}

console.error(machine());
const base = await perplexity(original);
console.error(`perplexity ${base.toFixed(3)}`);
const windows = await textWindows();
await withTemporaryFolder(async (folder) => {
  for (const fold of [...folds, ...control]) await measure(fold, windows, folder);
});

const ratio = (value) => (value / base).toFixed(4);
const columns = [
  {
    heading: "method",
    cell: ({ method }) => (method === "none" ? "unfolded, on the text (control)" : method),
  },
  { heading: "cache", cell: ({ keep }) => keep },
  { heading: "before", align: "right", cell: ({ before }) => ratio(before) },
  { heading: "after", align: "right", cell: ({ after }) => ratio(after) },
  { heading: "steps", align: "right", cell: ({ taken }) => String(taken) },
  {
    heading: "tokens",
    align: "right",
    cell: ({ taken, windowsPerStep }) => String(taken * windowsPerStep * length),
  },
  { heading: "seconds", align: "right", cell: ({ seconds }) => seconds.toFixed(0) },
];
console.log(
  `${name}: perplexity ${base.toFixed(3)}; ratios to it before and after adapters of rank ${settings.rank}`,
);
console.log(
  renderTable(
    rows.filter((row) => row.model === name),
    columns,
  ),
);
