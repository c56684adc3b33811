/**
 * Decode speed with a long cache, float32, as ratios: the original and its folds in kvfold's runtime, transformers.js and
 * llama.cpp. All read the same text, then decode in turns; medians of ratios within a round.
 * `node bench/decode.mjs --models FOLDER [--model prose-27m] [--contexts 4096] [--tokens 16] [--repeats 7] [--threads 2]
 *   [--only NAME,NAME] [--folder FOLDER]`
 *
 * `--only` takes parts of the names below; `--folder` keeps the folded models for the next run.
 */
import { join } from "node:path";
import { env } from "@huggingface/transformers";
import { openKvfold, openLlamaCpp, openTransformersJs } from "./decode/runners.mjs";
import { machine, modelFolder, textOption } from "./paths.mjs";
import { calibrationTokens, foldAll, median, option, withKeptFolder } from "./support.mjs";

const name = textOption("model", "prose-27m");
const contexts = textOption("contexts", "4096").split(",").map(Number);
const tokens = option("tokens", 16);
const repeats = option("repeats", 7);
const threads = option("threads", 2);
const only = textOption("only");
env.allowRemoteModels = false;

/** Positions for the prompt and all that is decoded after it. */
const maxPositions = Math.max(...contexts) + tokens * (repeats + 1) + 64;

/** How fast a fold decodes does not depend on healing. */
const models = {
  original: { keep: "1", formats: ["onnx", "gguf"] },
  latent: { keep: "1/4", method: "latent", heal: "none" },
  anchored: { keep: "1/4", heal: "none" },
  "anchored for speed": { keep: "1/4", heal: "none", chunk: { least: 64, phase: 1.6 } },
};

const runners = {
  "original, kvfold": ["original", openKvfold],
  "latent 1/4, kvfold": ["latent", openKvfold],
  "anchored 1/4, kvfold": ["anchored", openKvfold],
  "anchored 1/4 for speed, kvfold": ["anchored for speed", openKvfold],
  "original, transformers.js": ["original", openTransformersJs],
  "latent 1/4, transformers.js": ["latent", openTransformersJs],
  "anchored 1/4, transformers.js": ["anchored", openTransformersJs],
  "original, llama.cpp, float32 cache": ["original", (options) => openLlamaCpp({ ...options, type: "F32" })],
  "original, llama.cpp, float16 cache": ["original", (options) => openLlamaCpp({ ...options, type: "F16" })],
};

const chosen = Object.entries(runners).filter(
  ([label]) => only === undefined || only.split(",").some((part) => label.includes(part)),
);

/** Ratios of the first label's speed to the second's. */
const comparisons = [
  ["original, kvfold", "original, transformers.js"],
  ["original, kvfold", "original, llama.cpp, float32 cache"],
  ["original, kvfold", "original, llama.cpp, float16 cache"],
  ["latent 1/4, kvfold", "original, kvfold"],
  ["anchored 1/4, kvfold", "original, kvfold"],
  ["anchored 1/4 for speed, kvfold", "original, kvfold"],
  ["latent 1/4, kvfold", "original, transformers.js"],
  ["anchored 1/4, kvfold", "original, transformers.js"],
  ["latent 1/4, kvfold", "latent 1/4, transformers.js"],
  ["anchored 1/4, kvfold", "anchored 1/4, transformers.js"],
];

function writeModels(folder) {
  const plans = chosen.map(([, [model]]) => [model.replaceAll(" ", "-"), { ...models[model], maxPositions }]);
  return foldAll(modelFolder(name), folder, Object.fromEntries(plans));
}

/** Tokens a second over one round. */
async function measure({ decode }) {
  const start = performance.now();
  for (let i = 0; i < tokens; i++) await decode(17 + i);
  return (1000 * tokens) / (performance.now() - start);
}

async function openAll(folder, prompt) {
  const opened = {};
  for (const [label, [model, open]] of chosen) {
    const start = performance.now();
    opened[label] = await open({
      folder: join(folder, model.replaceAll(" ", "-")),
      prompt,
      maxPositions,
      threads,
    });
    opened[label].prefill = (1000 * prompt.length) / (performance.now() - start - opened[label].opening);
  }
  return opened;
}

async function report(folder, context) {
  const prompt = await calibrationTokens(context);
  const opened = await openAll(folder, prompt);
  const speeds = Object.fromEntries(chosen.map(([label]) => [label, []]));
  for (const [label] of chosen) await measure(opened[label]);
  for (let repeat = 0; repeat < repeats; repeat++)
    for (const [label] of chosen) speeds[label].push(await measure(opened[label]));
  console.log(
    `\n${name}, ${context} cached tokens, ${tokens} a round, ${repeats} rounds, ${threads} threads\n`,
  );
  for (const [label] of chosen)
    console.log(
      `${label}: ${median(speeds[label]).toFixed(1)} tokens/s, prefill ${opened[label].prefill.toFixed(0)}`,
    );
  for (const [one, other] of comparisons) {
    if (speeds[one] === undefined || speeds[other] === undefined) continue;
    const ratio = median(speeds[one].map((speed, i) => speed / speeds[other][i]));
    console.log(`${one} / ${other}: ${ratio.toFixed(2)}`);
  }
  for (const { close } of Object.values(opened)) await close();
}

console.error(machine());
const run = async (folder) => {
  await writeModels(folder);
  for (const context of contexts) await report(folder, context);
};
await withKeptFolder(run);
process.exit(0);
