/**
 * Decode speed and peak memory in a tab of Chromium: the original and what it folds to at 1/2 and 1/4 (`latent`), in
 * kvfold's runtime and in transformers.js on the same files. Each has a browser of its own; all decode in turns, round by
 * round, and ratios are taken within a round. `npm run build` first; needs Chromium, and Linux for the memory.
 * `node bench/tab.mjs [--model prose-6m] [--provider wasm|webgpu] [--contexts 1024,4096] [--tokens 16] [--repeats 7]`
 */
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { machine, modelFolder, textOption } from "./paths.mjs";
import {
  calibrationTokens,
  calibrationWindows,
  fold,
  median,
  option,
  withTemporaryFolder,
} from "./support.mjs";
import { openTab } from "./tab/open-tab.mjs";
import { serveTab } from "./tab/tab-server.mjs";

const name = textOption("model", "prose-6m");
const provider = textOption("provider", "wasm");
const contexts = textOption("contexts", "1024,4096").split(",").map(Number);
const tokens = option("tokens", 16);
const repeats = option("repeats", 7);
// What the runtimes take by themselves on an isolated page.
const threads = option("threads", Math.min(4, Math.ceil(availableParallelism() / 2)));
const chunk = 256;

/** Cache to keep, by the folder's name. */
const models = { original: "1", half: "1/2", quarter: "1/4" };
const runtimes = {
  kvfold: {
    label: "kvfold",
    script: "kvfold",
    graph: provider === "wasm" ? "model_delta.onnx" : "model.onnx",
  },
  // What the runtime would be without delta decoders.
  standard: { label: "kvfold, model.onnx", script: "kvfold", graph: "model.onnx" },
  "transformers-js": { label: "transformers.js 4.3.1", script: "transformers-js" },
};
const compared = Object.keys(runtimes).filter((name) => provider === "wasm" || name !== "standard");

async function writeModels(folder) {
  const windows = await calibrationWindows(8);
  const maxPositions = Math.max(...contexts) + tokens * (repeats + 1);
  for (const [model, keep] of Object.entries(models)) {
    const to = join(folder, model);
    await mkdir(to);
    const method = keep === "1" ? "none" : "latent";
    const options = { keep, method, heal: "none", maxPositions };
    await fold(modelFolder(name), to, options, keep === "1" ? {} : { windows });
  }
}

/** All runtimes and models after one prompt; the first case is what the others are held against. */
async function measureAfter(context, url) {
  const prompt = await calibrationTokens(context);
  const cases = compared.flatMap((runtime) =>
    Object.keys(models).map((model) => ({ context, runtime, model, rounds: [] })),
  );
  const open = async (one) => {
    const { runtime, model } = one;
    const { script, graph } = runtimes[runtime];
    one.tab = await openTab(url, { script, graph, model, provider, threads, prompt, chunk });
    one.warmUp = await one.tab.decode(tokens);
  };
  try {
    for (const model of Object.keys(models)) {
      console.error(`${context} tokens: all runtimes read the prompt, cache ${models[model]}`);
      // Side by side, since reading is not timed and takes most of the run.
      await Promise.all(cases.filter((one) => one.model === model).map(open));
    }
    for (let round = 0; round < repeats; round++) {
      for (const { tab, rounds } of cases) rounds.push(await tab.decode(tokens));
    }
    for (const one of cases) one.peakBytes = await one.tab.peakBytes();
    return cases;
  } finally {
    for (const { tab } of cases) await tab?.close();
  }
}

const mebibytes = (bytes) => Math.round(bytes / 2 ** 20);

function describeCase({ context, runtime, model, rounds, peakBytes }, { rounds: original }) {
  const ratios = rounds.map(
    ({ tokensPerSecond }, round) => tokensPerSecond / original[round].tokensPerSecond,
  );
  const memory = [peakBytes, rounds.at(-1).wasmBytes].map(mebibytes);
  return [context, runtimes[runtime].label, models[model], median(ratios).toFixed(2), ...memory];
}

/** All decode greedily from the same prompt. */
function countAgreements(cases) {
  const textOf = ({ warmUp, rounds }) => [warmUp, ...rounds].flatMap((round) => round.tokens).join();
  return Object.keys(models).filter((model) => {
    const texts = cases.filter((found) => found.model === model).map(textOf);
    return texts.every((text) => text === texts[0]);
  }).length;
}

/** On the same model, in the same round. */
function printComparison(cases) {
  for (const model of Object.keys(models)) {
    const [one, ...others] = cases.filter((found) => found.model === model);
    for (const other of others) {
      const speeds = one.rounds.map(
        ({ tokensPerSecond }, round) => tokensPerSecond / other.rounds[round].tokensPerSecond,
      );
      const behind = `${one.context} tokens, cache ${models[model]}`;
      const peaks = (one.peakBytes / other.peakBytes).toFixed(2);
      const { label } = runtimes[other.runtime];
      console.log(`${behind}: kvfold / ${label} ${median(speeds).toFixed(2)}, peak of the tab ${peaks}`);
    }
  }
}

const printRow = (columns) => console.log(`| ${columns.join(" | ")} |`);

const printJson = (results) =>
  console.log(
    JSON.stringify(
      results.flat().map(({ context, runtime, model, peakBytes, rounds }) => ({
        context,
        runtime,
        model,
        peakBytes,
        wasmBytes: rounds.at(-1).wasmBytes,
        tokensPerSecond: rounds.map(({ tokensPerSecond }) => tokensPerSecond),
      })),
    ),
  );

await withTemporaryFolder(async (folder) => {
  await writeModels(folder);
  const server = await serveTab(folder);
  const results = [];
  try {
    for (const context of contexts) results.push(await measureAfter(context, server.url));
  } finally {
    await server.close();
  }
  const agreements = results.reduce((sum, cases) => sum + countAgreements(cases), 0);
  const pairs = contexts.length * Object.keys(models).length;
  const emptyTab = mebibytes(median(results.flat().map(({ tab }) => tab.emptyBytes)));
  console.log(
    `${name} on ${provider}, ${threads} thread(s), ${repeats} rounds of ${tokens} tokens; ${machine()}`,
  );
  console.log(`an empty tab: ${emptyTab} MiB; same tokens in all runtimes: ${agreements} of ${pairs}\n`);
  printRow([
    "cached tokens",
    "runtime",
    "cache",
    "tokens/s, ratio",
    "peak of the tab, MiB",
    "WebAssembly, MiB",
  ]);
  printRow(["---:", "---", "---", "---:", "---:", "---:"]);
  for (const cases of results) {
    for (const one of cases) printRow(describeCase(one, cases[0]));
  }
  for (const cases of results) printComparison(cases);
  printJson(results);
});
