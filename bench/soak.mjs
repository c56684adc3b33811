/**
 * Many generations in one process: prompts and answers of random lengths, greedy and drawn, some aborted, some saved and
 * gone on with in a new state, some as batches, on the original and its folds. Says how much memory each quarter adds, and
 * compares tokens with those of fresh processes. Linux only. The last line is JSON; the exit code is 1 where tokens differ.
 * `node bench/soak.mjs [--model prose-6m] [--generations 200] [--fresh 12] [--threads 2] [--folder FOLDER]`
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createCausalLM, createRandom, generate, generateBatch } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { fileSource } from "@kvfold/safetensors/node";
import { mebibytes, residentBytes } from "./own-memory.mjs";
import { machine, modelFolder, textOption } from "./paths.mjs";
import { calibrationTokens, foldAll, option, withKeptFolder } from "./support.mjs";

const name = textOption("model", "prose-6m");
const generations = option("generations", 200);
const fresh = option("fresh", 12);
const threads = option("threads", 2);
const LONGEST_PROMPT = 600;
const LONGEST_ANSWER = 60;
const IDENTITY = "soak";

const models = {
  original: { keep: "1" },
  latent: { keep: "1/4", method: "latent", heal: "none" },
  anchored: { keep: "1/4", heal: "none" },
};

/** What generation `index` does, the same in every process. */
function jobOf(index, text) {
  const random = createRandom(1000 + index);
  const below = (limit) => Math.floor(random() * limit);
  const promptOf = () => {
    const start = below(text.length - LONGEST_PROMPT);
    return text.slice(start, start + 1 + below(LONGEST_PROMPT));
  };
  const kinds = ["plain", "aborted", "saved", "batch"];
  return {
    model: Object.keys(models)[below(3)],
    kind: kinds[index % kinds.length],
    prompts: Array.from({ length: 2 + below(5) }, promptOf),
    maxNewTokens: 2 + below(LONGEST_ANSWER),
    temperature: below(2),
    seed: index,
  };
}

async function collect(events) {
  const all = [];
  for await (const event of events) all.push(event);
  return all;
}

const generators = {
  plain: (model, { prompts, ...options }) => collect(generate(model, prompts[0], options)),
  /** Stops half-way. */
  async aborted(model, { prompts, maxNewTokens, ...options }) {
    const controller = new AbortController();
    const drawn = [];
    try {
      const { signal } = controller;
      for await (const token of generate(model, prompts[0], { ...options, maxNewTokens, signal })) {
        drawn.push(token);
        if (drawn.length >= maxNewTokens / 2) controller.abort();
      }
    } catch (error) {
      if (error.code !== "aborted") throw error;
    }
    return drawn;
  },
  /** A first turn is saved to a file, and a second goes on from there. */
  async saved(model, { prompts, ...options }, file) {
    const state = model.createState();
    const first = await collect(generate(model, prompts[0], { ...options, state }));
    await writeFile(file, state.save(IDENTITY).pieces);
    state.dispose();
    const source = await fileSource(file);
    const loaded = await model.loadState(source, IDENTITY);
    await source.close();
    const all = [...prompts[0], ...first, ...prompts[1].slice(0, 20)];
    const second = await collect(generate(model, all, { ...options, state: loaded }));
    loaded.dispose();
    return [...first, ...second];
  },
  /** By sequence, as the order of events says nothing. */
  async batch(model, { prompts, ...options }) {
    const events = await collect(generateBatch(model, prompts, options));
    return prompts.map((_, index) =>
      events.flatMap(({ sequence, token }) => (sequence === index && token !== undefined ? [token] : [])),
    );
  },
};

async function openModels(folder) {
  const opened = {};
  for (const model of Object.keys(models)) {
    const path = join(folder, model, "onnx", "model_delta.onnx");
    opened[model] = createCausalLM(await nodeProvider().createSession({ path }, { threads }), {
      maxPositions: 1024,
    });
  }
  return opened;
}

const readText = () => calibrationTokens(16 * 1024);

async function perform(opened, index, text, folder) {
  const { model, kind, ...job } = jobOf(index, text);
  return generators[kind](opened[model], job, join(folder, `cache-${process.pid}.safetensors`));
}

/** The tokens of one generation in a process of its own. */
async function performAnew(index, folder) {
  const script = fileURLToPath(import.meta.url);
  const args = [
    script,
    "--one",
    String(index),
    "--folder",
    folder,
    "--model",
    name,
    "--threads",
    String(threads),
  ];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 24 });
  return JSON.parse(stdout);
}

async function run(folder) {
  await foldAll(modelFolder(name), folder, models);
  console.error(machine());
  const text = await readText();
  const opened = await openModels(folder);
  const results = [];
  const resident = [];
  for (let index = 0; index < generations; index++) {
    results.push(await perform(opened, index, text, folder));
    if ((index + 1) % Math.ceil(generations / 8) === 0) resident.push(await residentBytes());
  }
  const step = Math.max(1, Math.floor(generations / Math.max(1, fresh)));
  const differing = [];
  let compared = 0;
  for (let index = generations - 1; index >= 0 && compared < fresh; index -= step, compared++) {
    const anew = await performAnew(index, folder);
    if (JSON.stringify(anew) !== JSON.stringify(results[index])) differing.push(index);
  }
  console.log(`${name}, ${generations} generations, ${threads} threads`);
  console.log(`resident after each eighth, MiB: ${resident.map(mebibytes).join(", ")}`);
  console.log(`second half's growth: ${mebibytes(resident.at(-1) - resident[3])} MiB`);
  console.log(`same tokens as a fresh process: ${compared - differing.length} of ${compared}`);
  console.log(JSON.stringify({ name, generations, resident, compared, differing }));
  process.exitCode = differing.length > 0 ? 1 : 0;
}

async function runOne(folder, index) {
  const opened = await openModels(folder);
  console.log(JSON.stringify(await perform(opened, index, await readText(), folder)));
}

const one = textOption("one");
await withKeptFolder((folder) => (one === undefined ? run(folder) : runOne(folder, Number(one))));
process.exit();
