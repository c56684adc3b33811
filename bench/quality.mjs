/**
 * Measures quality: models x methods x sizes, into a JSON file that grows a row at a time and is taken up where it
 * stopped; `render-quality.mjs` makes docs/results.md and its picture of it. The rows come from the CLI's own jobs.
 *
 * `npm run bench:quality -- [--models FOLDER] [--only prose-27m,prose-6m] [--methods latent,paper] [--keeps 1/2,1/4]
 *   [--windows 128] [--draws 1] [--dtype fp16] [--out docs/results.json]`
 *
 * Calibration: the first 128 windows of assets/text/calibration.u16; draw k starts at window 64 k. Perplexity: the
 * first 64 windows of validation.u16. Copy probe: passages of validation.u16, 64 sequences for each distance, seed 0.
 */
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  disableTelemetry,
  evaluateModels,
  foldCheckpoint,
  probeCopying,
  quietContext,
  tokenFile,
} from "kvfold/jobs";
import { assetPath, machine, modelFolder, repositoryPath, textOption } from "./paths.mjs";

disableTelemetry();

const list = (name, fallback) => textOption(name, fallback).split(",");
const models = list("only", "prose-27m,prose-6m,prose-bloom-6m");
const keeps = list("keeps", "1/2,1/4,1/8");
const methods = list(
  "methods",
  "random,mean,svd-w,svd-a,paper,lorc,eigen-attention,commuting,commuting-reallocated,latent",
);
const windows = Number(textOption("windows", "128"));
const draws = Number(textOption("draws", "1"));
const floatType = textOption("dtype", "fp32") === "fp16" ? "float16" : "float32";
const out = textOption("out", repositoryPath("docs/results.json"));

/** Rotations do not concern BLOOM, and its keys are grouped in the paper as they are in svd-a. */
const applies = (model, method) =>
  !(model.includes("bloom") && (method.startsWith("commuting") || method === "paper"));

const rows = existsSync(out) ? JSON.parse(await readFile(out, "utf8")) : [];
const folder = await mkdtemp(join(tmpdir(), "kvfold-quality-"));

async function measureModel(model, draw) {
  const calibration = await calibrationFile(draw);
  const moments = join(folder, `${model}-${draw}.moments.safetensors`);
  await measureRow({ model, method: "none", keep: "1", draw }, {});
  for (const keep of keeps) {
    for (const method of methods.filter((candidate) => applies(model, candidate))) {
      const known = existsSync(moments) ? { moments } : {};
      if (!existsSync(moments) && !isMeasured({ model, method, keep, draw }))
        await measureMoments(model, moments, calibration);
      await measureRow(
        { model, method, keep, draw },
        { ...known, ...(existsSync(moments) && { moments }), calibration },
      );
    }
  }
}

/** All taps at once, by a fold with the method that needs them all. */
async function measureMoments(model, saveMoments, calibration) {
  const output = join(folder, "moments-only");
  const options = { model: modelFolder(model), output, keep: "1/2", method: "latent", heal: "none" };
  await foldCheckpoint({ ...options, existing: "replace", calibration, saveMoments }, quietContext);
  await rm(output, { recursive: true });
}

async function calibrationFile(draw) {
  const bytes = await readFile(assetPath("text/calibration.u16"));
  const path = join(folder, `calibration-${draw}.u16`);
  await writeFile(path, bytes.subarray(draw * 64 * 1025 * 2));
  return { files: [tokenFile(path)], windows };
}

const sameRow = (key) => (row) =>
  row.model === key.model &&
  row.method === key.method &&
  row.keep === key.keep &&
  row.draw === key.draw &&
  row.windows === windows &&
  row.floatType === floatType;
const isMeasured = (key) => rows.some(sameRow(key));

async function measureRow(key, foldOptions) {
  if (isMeasured(key)) return;
  const output = join(folder, "output");
  const { model, method, keep } = key;
  const options = {
    model: modelFolder(model),
    output,
    existing: "replace",
    keep,
    method,
    floatTypes: [floatType],
  };
  const { seconds, cacheBytesPerToken, plan } = await foldCheckpoint(
    { ...options, ...foldOptions },
    quietContext,
  );
  const files = [tokenFile(assetPath("text/validation.u16"))];
  const [figures] = (await evaluateModels({ models: [output], files, windows: 64, floatType }, quietContext))
    .models;
  const [copy] = (await probeCopying({ models: [output], files, sequences: 64, floatType }, quietContext))
    .models;
  const base =
    key.keep === "1"
      ? figures.perplexity
      : rows.find(sameRow({ ...key, method: "none", keep: "1" })).perplexity;
  rows.push({
    ...key,
    windows,
    floatType,
    heal: plan.heal,
    spans: [plan.layers[0].keys.span, plan.layers[0].values.span],
    perplexity: figures.perplexity,
    ratio: figures.perplexity / base,
    copy: copy.distances.map(({ distance, accuracy, gain }) => ({ distance, accuracy, gain })),
    cacheBytesPerToken: cacheBytesPerToken.after,
    seconds,
  });
  await writeFile(out, `${JSON.stringify(rows, null, 1)}\n`);
  const gains = copy.distances.map(({ gain }) => gain.toFixed(2)).join(" ");
  console.error(
    `${model} ${method} ${keep} draw ${key.draw}: ratio ${(figures.perplexity / base).toFixed(4)}, copy gain ${gains} nats, ${seconds.toFixed(1)} s`,
  );
  await rm(output, { recursive: true });
}

try {
  for (const model of models) for (let draw = 0; draw < draws; draw++) await measureModel(model, draw);
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.error(machine());
