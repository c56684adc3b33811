/**
 * What anchored folds of the same size lose and how fast they decode, over chunks and spans: the choice behind the default
 * of `--chunk`. Loss is measured on the windows of docs/results.md, healed; then all decode in turns.
 *
 * `node bench/loss-and-speed.mjs --models FOLDER [--model prose-27m] [--keep 1/4] [--chunks "1 8,0.8 16,0.4 32,0.8 64,1.6 64"]
 *   [--spans "8 4 2"] [--context 4096] [--tokens 16] [--repeats 7] [--threads 2] [--folder FOLDER] [--loss no]`
 *
 * `--folder` keeps the folded models: those that are there are not folded again. A fold to a chunk of 8,0.8 and spans of four
 * heads lies in `8,0.8-span-4`. `--loss no` measures speed alone, on folds that are not healed and made in seconds.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  disableTelemetry,
  evaluateModels,
  foldCheckpoint,
  quietContext,
  renderTable,
  tokenFile,
} from "kvfold/jobs";
import { openKvfold } from "./decode/runners.mjs";
import { assetPath, machine, modelFolder, textOption } from "./paths.mjs";
import { calibrationTokens, median, option, withKeptFolder } from "./support.mjs";

disableTelemetry();

const model = textOption("model", "prose-27m");
const keep = textOption("keep", "1/4");
const chunks = textOption("chunks", "1 8,0.8 16,0.4 32,0.8 64,1.6 64").split(" ");
const spans = textOption("spans", "8 4 2").split(" ");
const context = option("context", 4096);
const tokens = option("tokens", 16);
const repeats = option("repeats", 7);
const threads = option("threads", 2);
const measuresLoss = textOption("loss", "yes") === "yes";
/** How fast a fold decodes depends neither on healing nor on how well it is calibrated. */
const effort = measuresLoss ? { windows: 128, healing: {} } : { windows: 4, healing: { heal: "none" } };
/** Positions of the prompt, and of all that is decoded after it. */
const maxPositions = context + tokens * (repeats + 1) + 64;

const variants = chunks.flatMap((chunk) =>
  spans.map((span) => ({ name: `${chunk}-span-${span}`, chunk, span })),
);

function parseChunk(text) {
  const [least, phase] = text.split(",").map(Number);
  return phase === undefined ? least : { least, phase };
}

async function foldMissing(folder, name, options) {
  const output = join(folder, name);
  if (existsSync(output)) return;
  const calibration = { files: [tokenFile(assetPath("text/calibration.u16"))], windows: effort.windows };
  await foldCheckpoint(
    { model: modelFolder(model), output, dtypes: ["fp32"], maxPositions, ...options, calibration },
    quietContext,
  );
  console.error(`folded ${name}`);
}

async function measureLoss(folder) {
  const names = ["original", ...variants.map(({ name }) => name)];
  const { models } = await evaluateModels(
    {
      models: names.map((name) => join(folder, name)),
      files: [tokenFile(assetPath("text/validation.u16"))],
      windows: 64,
      divergence: "skip",
    },
    quietContext,
  );
  return Object.fromEntries(names.map((name, i) => [name, models[i].ratio]));
}

/** Milliseconds of each step of one round. */
async function measureRound({ decode }) {
  const taken = [];
  for (let i = 0; i < tokens; i++) {
    const start = performance.now();
    await decode(17 + i);
    taken.push(performance.now() - start);
  }
  return taken;
}

async function measureSpeed(folder, names) {
  const prompt = await calibrationTokens(context);
  const opened = {};
  for (const name of names)
    opened[name] = await openKvfold({ folder: join(folder, name), prompt, maxPositions, threads });
  const steps = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) await measureRound(opened[name]);
  for (let repeat = 0; repeat < repeats; repeat++)
    for (const name of names) steps[name].push(...(await measureRound(opened[name])));
  for (const { close } of Object.values(opened)) await close();
  return steps;
}

await withKeptFolder(async (folder) => {
  await foldMissing(folder, "original", { keep: "1" });
  for (const { name, chunk, span } of variants) {
    const options = {
      keep,
      method: "anchored",
      chunk: parseChunk(chunk),
      keySpan: Number(span),
      valueSpan: Number(span),
      ...effort.healing,
    };
    await foldMissing(folder, name, options);
  }
  const losses = measuresLoss ? await measureLoss(folder) : {};
  const steps = await measureSpeed(folder, ["original", ...variants.map(({ name }) => name)]);
  const against = (pick, name) => (pick(steps.original) / pick(steps[name])).toFixed(2);
  const fastest = (times) => Math.min(...times);
  console.log(`${machine()}\n${model} at ${keep}, ${context} cached tokens, ${threads} threads`);
  const columns = [
    { heading: "chunk", cell: ({ chunk }) => chunk },
    { heading: "span", align: "right", cell: ({ span }) => span },
    { heading: "loss", align: "right", cell: ({ name }) => losses[name]?.toFixed(4) ?? "-" },
    { heading: "speed", align: "right", cell: ({ name }) => against(median, name) },
    { heading: "fastest step", align: "right", cell: ({ name }) => against(fastest, name) },
  ];
  console.log(renderTable(variants, columns));
});
process.exit(0);
