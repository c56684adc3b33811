/**
 * Quality against bytes of folds, cache policies, bits, and their products: exact answers to retrieval prompts of 4000 tokens,
 * the question unknown or known when the cache is compressed, and the nll of prose that goes on after a compressed half.
 *
 * `node bench/frontier.mjs --folds FOLDER --texts FOLDER [--out frontier.jsonl] [--part 1/1] [--limit 16] [--length 4000]
 *   [--windows 8] [--window 4096] [--keeps 1,1/2,1/4,1/8] [--bits float32,int8,int4] [--cache "none keydiff:0.5"] [--threads 1]`
 *
 * The first folder holds `mix-30m-1`, `mix-30m-1-of-2` and so on, as `fold --cache-bits 8,4` writes them; graphs that are missing
 * are left out. The second is that of `policies.mjs`. Each prompt and each window of prose is a piece of work, and what it gives is
 * added to the file as soon as it is done: a run that is stopped goes on where it was. Processes may share the work and the
 * file, each with its own `--part`. `render-frontier.mjs` makes a table and a picture of the file.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readTokenizer } from "@kvfold/converter/node";
import { readConfig, rotaryFrequencies } from "@kvfold/decoder";
import { parsePolicies } from "@kvfold/policies";
import { cacheBytesPerToken, createCausalLM, policyProbe } from "@kvfold/runtime";
import { readRetrievalItems, splitPrompt } from "kvfold/jobs";
import { appendLines, readLines } from "./frontier/lines.mjs";
import { graphs } from "./frontier/points.mjs";
import { keyOf } from "./frontier/summary.mjs";
import { fail, machine, textFile, textOption } from "./paths.mjs";
import { readMixWindows } from "./policies/mix-model.mjs";
import { option, provider } from "./support.mjs";

const folds =
  textOption("folds") ?? fail("name the folder that holds mix-30m-1 and its folds with --folds FOLDER");
const out = textOption("out", "frontier.jsonl");
const [part, parts] = textOption("part", "1/1").split("/").map(Number);
const limit = option("limit", 16);
const length = option("length", 4000);
const window = option("window", 4096);
const threads = option("threads", 1);

const folderOf = (keep) => join(folds, `mix-30m-${keep.replace("/", "-of-")}`);

/** Prompts and windows, the first of each kind before the second: a run that is stopped has measured all points alike. */
async function readTasks() {
  const found = graphs().map(({ keep }) => folderOf(keep));
  const folder = found.find(existsSync) ?? fail(`expected one of ${found.join(", ")}, found none`);
  const { decode } = await readTokenizer(folder);
  const items = await readRetrievalItems(textFile("retrieval-validation.jsonl"));
  const retrieval = ["passkey", "records"].flatMap((task) =>
    items
      .filter((item) => item.task === task && item.length === length)
      .slice(0, limit)
      .map(({ prompt, answer }, item) => ({
        task,
        item,
        questions: ["unknown", "known"],
        text: { ...splitPrompt(prompt, decode), answer },
      })),
  );
  const windows = await readMixWindows("validation-prose.u16", window, option("windows", 8));
  const prose = windows.map((ids, item) => ({
    task: "prose",
    item,
    questions: ["unknown"],
    text: halves(ids),
  }));
  return [...retrieval, ...prose].sort((a, b) => a.item - b.item);
}

/** Text without a question: its second half is the answer. */
function halves(ids) {
  const half = Math.floor(ids.length / 2);
  return { context: Array.from(ids.subarray(0, half)), question: [], answer: Array.from(ids.subarray(half)) };
}

/** All work, in an order that every process finds alike. */
async function readJobs() {
  const present = graphs().filter(({ keep, file }) => {
    const path = join(folderOf(keep), "onnx", file);
    if (existsSync(path)) return true;
    console.error(`${path} was not found and is left out`);
    return false;
  });
  return (await readTasks()).flatMap((task) => present.map((graph) => ({ ...graph, ...task })));
}

async function openGraph({ keep, file }) {
  const folder = folderOf(keep);
  const session = await provider.createSession({ path: join(folder, "onnx", file) }, { threads });
  const config = readConfig(await readFile(join(folder, "config.json"), "utf8"));
  // The cache of a fold has no keys after RoPE, so that only the whole model tells its frequencies.
  const inverseFrequencies = keep === "1" ? rotaryFrequencies(config) : undefined;
  return { session, lm: createCausalLM(session, { inverseFrequencies }) };
}

/** What the caches of one graph make of one text; `done` tells those that are known. */
async function measure(lm, { keep, caches, task, item, questions, text }, done) {
  const bytesPerToken = cacheBytesPerToken(lm.cacheLayout);
  const lines = [];
  for (const question of questions) {
    const wanted = caches.filter((cache) => !done.has(keyOf({ keep, cache, task, item, question })));
    if (wanted.length === 0) continue;
    const lists = wanted.map((cache) => (cache === "none" ? [] : parsePolicies(cache)));
    const [scores] = await policyProbe(lm, [text], lists, { question });
    for (const [index, cache] of wanted.entries()) {
      const { held, read, ...score } = scores[index];
      lines.push({ keep, cache, task, item, question, ...score, held: held / read, bytesPerToken });
    }
  }
  return lines;
}

async function run() {
  const jobs = (await readJobs()).filter((_, index) => index % parts === part - 1);
  const done = new Set(readLines(out).map(keyOf));
  let opened;
  for (const [index, job] of jobs.entries()) {
    const isDone = job.questions.every((question) =>
      job.caches.every((cache) => done.has(keyOf({ ...job, cache, question }))),
    );
    if (isDone) continue;
    const start = performance.now();
    if (opened?.keep !== job.keep || opened?.file !== job.file) {
      await opened?.session.dispose();
      opened = { keep: job.keep, file: job.file, ...(await openGraph(job)) };
    }
    appendLines(out, await measure(opened.lm, job, done));
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.error(
      `${index + 1}/${jobs.length}: ${job.keep} ${job.file}, ${job.task} ${job.item}: ${seconds} s`,
    );
  }
  await opened?.session.dispose();
}

console.error(machine());
await run();
