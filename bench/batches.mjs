/**
 * Tokens a second of several sequences decoded at once, original and folded to 1/4 (`latent`, `anchored`), float32: all
 * batches read the same prompts and decode in turns; medians of ratios within a round. The last line is JSON.
 * `node bench/batches.mjs --models FOLDER [--model prose-27m] [--context 1024] [--sizes 1,4,16] [--tokens 8] [--repeats 7]
 *   [--threads 2] [--folder FOLDER]`
 */
import { join } from "node:path";
import { createCausalLM } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { machine, modelFolder, textOption } from "./paths.mjs";
import { calibrationTokens, foldAll, median, option, withKeptFolder } from "./support.mjs";

const name = textOption("model", "prose-27m");
const context = option("context", 1024);
const sizes = textOption("sizes", "1,4,16").split(",").map(Number);
const tokens = option("tokens", 8);
const repeats = option("repeats", 7);
const threads = option("threads", 2);
const maxPositions = context + tokens * (repeats + 1) + 64;

/** How fast a fold decodes does not depend on healing. */
const models = {
  original: { keep: "1", maxPositions },
  latent: { keep: "1/4", method: "latent", heal: "none", maxPositions },
  anchored: { keep: "1/4", heal: "none", maxPositions },
};

/** Prompts that differ, all of the same length. */
async function readPrompts(size) {
  const text = await calibrationTokens(context + 997 * size);
  return Array.from({ length: size }, (_, index) => text.slice(index * 997, index * 997 + context));
}

async function openBatches(folder) {
  const sessions = [];
  const batches = [];
  for (const model of Object.keys(models)) {
    const path = join(folder, model, "onnx", "model_delta.onnx");
    const session = await nodeProvider().createSession({ path }, { threads });
    sessions.push(session);
    const lm = createCausalLM(session, { maxPositions });
    for (const size of sizes) {
      const batch = lm.createBatch({ size });
      await batch.prefill(await readPrompts(size));
      batches.push({ model, size, batch, speeds: [] });
      console.error(`${model}, ${size}: read`);
    }
  }
  return { sessions, batches };
}

/** Tokens a second, of all sequences together. */
async function measure({ batch, size }) {
  const start = performance.now();
  for (let step = 0; step < tokens; step++)
    await batch.decode(Array.from({ length: size }, (_, index) => 17 + index + step));
  return (1000 * tokens * size) / (performance.now() - start);
}

async function run(folder) {
  await foldAll(modelFolder(name), folder, models);
  const { sessions, batches } = await openBatches(folder);
  for (const one of batches) await measure(one);
  for (let round = 0; round < repeats; round++)
    for (const one of batches) one.speeds.push(await measure(one));
  const speedsOf = (model, size) =>
    batches.find((one) => one.model === model && one.size === size)?.speeds ?? [];
  const ratio = (speeds, others) => median(speeds.map((speed, round) => speed / others[round]));
  const rows = batches.map(({ model, size, speeds }) => ({
    model,
    size,
    tokensPerSecond: median(speeds),
    toOneSequence: ratio(speeds, speedsOf(model, sizes[0])),
    toOriginal: ratio(speeds, speedsOf("original", size)),
  }));
  console.log("| model | sequences | tokens/s | to one sequence | to the original |");
  console.log("| --- | ---: | ---: | ---: | ---: |");
  for (const { model, size, ...figures } of rows) {
    const [speed, ...ratios] = Object.values(figures);
    console.log(
      `| ${[model, size, speed.toFixed(1), ...ratios.map((value) => value.toFixed(2))].join(" | ")} |`,
    );
  }
  console.log(JSON.stringify({ name, context, threads, rows }));
  for (const { batch } of batches) batch.dispose();
  for (const session of sessions) await session.dispose();
}

console.error(machine());
await withKeptFolder(run);
process.exit(0);
