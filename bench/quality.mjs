/**
 * Measures quality: models x methods x sizes, into a JSON file that grows a row at a time and is taken up where it
 * stopped; `render-quality.mjs` makes docs/results.md and its picture of it. The rows come from the CLI's own jobs.
 *
 * `npm run bench:quality -- [--models FOLDER] [--only prose-27m,prose-6m] [--methods latent,paper] [--keeps 1/2,1/4]
 *   [--windows 128] [--draws 0,1,2] [--dtype fp32,fp16] [--copy no] [--threads N]
 *   [--out docs/results.json]`
 *
 * A method may carry a budget: `latent+knapsack`. Folding time is given in forward passes of the original model over the
 * calibration windows, measured in the same process: seconds mean nothing on another machine.
 *
 * Calibration: the first 128 windows of assets/text/calibration.u16; draw k starts at window 64 k. Perplexity: the
 * first 64 windows of validation.u16. Copy probe: passages of validation.u16, 64 sequences for each distance, seed 0.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCausalLM } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import {
  disableTelemetry,
  evaluateModels,
  foldCheckpoint,
  probeCopying,
  quietContext,
  tokenFile,
} from "kvfold/jobs";
import { assetPath, machine, modelFolder, repositoryPath, textOption, threadsOption } from "./paths.mjs";
import { calibrationWindows, seconds } from "./support.mjs";

disableTelemetry();

const list = (name, fallback) => textOption(name, fallback).split(",");
const models = list("only", "prose-27m,prose-6m,prose-bloom-6m");
const keeps = list("keeps", "1/2,1/4,1/8");
const methods = list(
  "methods",
  "random,mean,svd-w,svd-a,paper,lorc,eigen-attention,commuting,commuting-reallocated,latent",
);
const windows = Number(textOption("windows", "128"));
const draws = list("draws", "0").map(Number);
const floatTypes = list("dtype", "fp32").map((name) => (name === "fp16" ? "float16" : "float32"));
const probes = textOption("copy", "yes") === "yes";
const threads = threadsOption();
/** What the command line calls a float type. */
const dtypeOf = (floatType) => (floatType === "float16" ? "fp16" : "fp32");
const out = textOption("out", repositoryPath("docs/results.json"));

/** Rotations do not concern BLOOM: its keys are grouped in the paper as in svd-a. */
const ROTATED_ALONE = ["commuting", "commuting-reallocated", "paper"];
const applies = (model, method) => !(model.includes("bloom") && ROTATED_ALONE.includes(method.split("+")[0]));

const rows = existsSync(out) ? JSON.parse(await readFile(out, "utf8")) : [];
const folder = await mkdtemp(join(tmpdir(), "kvfold-quality-"));
const files = [tokenFile(assetPath("text/validation.u16"))];
const output = join(folder, "output");

const findRow = (key, floatType) =>
  rows.find(
    (row) =>
      Object.entries(key).every(([name, value]) => row[name] === value) &&
      row.windows === windows &&
      row.floatType === floatType,
  );

async function measureModel(model, draw) {
  const calibration = await calibrationFile(draw);
  await measureFold({ model, method: "none", keep: "1", draw }, calibration);
  for (const keep of keeps)
    for (const method of methods.filter((candidate) => applies(model, candidate)))
      await measureFold({ model, method, keep, draw }, calibration);
}

async function calibrationFile(draw) {
  const bytes = await readFile(assetPath("text/calibration.u16"));
  const path = join(folder, `calibration-${draw}.u16`);
  await writeFile(path, bytes.subarray(draw * 64 * 1025 * 2));
  return { files: [tokenFile(path)], windows };
}

/** One fold, written in every float type that is asked for. */
async function measureFold(key, calibration) {
  if (floatTypes.every((floatType) => findRow(key, floatType))) return;
  const [method, budget] = key.method.split("+");
  const report = await foldCheckpoint(
    {
      model: modelFolder(key.model),
      output,
      existing: "replace",
      dtypes: floatTypes.map(dtypeOf),
      keep: key.keep,
      method,
      calibration,
      threads,
      ...(budget && { budget }),
    },
    quietContext,
  );
  for (const floatType of floatTypes) await measureRow(key, floatType, report);
  await rm(output, { recursive: true });
}

async function measureRow(key, floatType, { seconds: foldSeconds, cacheBytesPerToken, plan }) {
  if (findRow(key, floatType)) return;
  const options = { models: [output], files, dtype: dtypeOf(floatType), threads };
  const { perplexity } = (await evaluateModels({ ...options, windows: 64 }, quietContext)).models[0];
  const copy = probes && floatType === "float32" && { copy: await measureCopying(options) };
  const isOriginal = key.keep === "1";
  const base = isOriginal
    ? { perplexity }
    : (findRow({ ...key, method: "none", keep: "1" }, floatType) ??
      findRow({ model: key.model, method: "none", keep: "1" }, "float32"));
  rows.push({
    ...key,
    windows,
    floatType,
    heal: plan.heal,
    spans: [plan.layers[0].keys.span, plan.layers[0].values.span],
    perplexity,
    ratio: perplexity / base.perplexity,
    ...copy,
    cacheBytesPerToken: cacheBytesPerToken.after,
    ...(isOriginal && { forwardSeconds: windows * (await measureForward()) }),
    // Unknown where the original's row comes from a machine that was busy.
    ...(base.forwardSeconds !== undefined && { forwards: foldSeconds / base.forwardSeconds }),
  });
  await writeFile(out, `${JSON.stringify(rows, null, 1)}\n`);
  console.error(describe(rows.at(-1)));
}

/** Seconds of one forward pass over a window of 1024 tokens, of the original that was just written. */
async function measureForward() {
  const file = floatTypes[0] === "float16" ? "model_fp16.onnx" : "model.onnx";
  const session = await nodeProvider({ threads }).createSession({ path: join(output, "onnx", file) });
  const whole = createCausalLM(session, { prefillChunk: 1024 });
  const some = await calibrationWindows(8);
  await whole.forward(some[0]);
  const taken = await seconds(async () => {
    for (const window of some) await whole.forward(window);
  });
  await session.dispose();
  return taken / some.length;
}

async function measureCopying(options) {
  const { distances } = (await probeCopying({ ...options, sequences: 64 }, quietContext)).models[0];
  return distances.map(({ distance, accuracy, gain }) => ({ distance, accuracy, gain }));
}

function describe({ model, method, keep, draw, floatType, ratio, copy = [], forwards }) {
  const gains = copy.map(({ gain }) => gain.toFixed(2)).join(" ");
  const time = forwards === undefined ? "untimed" : `${forwards.toFixed(1)} forwards`;
  return `${model} ${method} ${keep} draw ${draw} ${floatType}: ratio ${ratio.toFixed(4)}, copy gain ${gains} nats, ${time}`;
}

try {
  for (const model of models) for (const draw of draws) await measureModel(model, draw);
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.error(machine());
