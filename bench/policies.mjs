/**
 * What cache policies cost on mix-30m: exact answers to retrieval prompts, with the cache compressed before the question is
 * known or after it, and the nll of prose that goes on after a compressed half. Each text is read once, and all policies act
 * on copies of its cache.
 *
 * `node bench/policies.mjs --models FOLDER --texts FOLDER [--limit 16] [--lengths 1024,4000] [--tasks passkey,records]
 *   [--cache "keydiff:0.5 streaming:0.5"] [--questions unknown,known] [--texts-limit 4] [--keep 1] [--method anchored]
 *   [--threads 2] [--folder FOLDER] [--out policies.json]`
 *
 * The first folder holds `mix-30m`; the second `retrieval-validation.jsonl` and `validation-prose.u16`. `--keep 1/2` folds the
 * model first, by `calibration-4k.u16` of the second folder; `--folder` keeps the model for the next run. Results are written
 * after each item, so that a run that is stopped leaves what it has.
 */
import { rename, writeFile } from "node:fs/promises";
import { readTokenizer } from "@kvfold/converter/node";
import { parsePolicies } from "@kvfold/policies";
import { policyProbe } from "@kvfold/runtime";
import { readRetrievalItems, splitPrompt } from "kvfold/jobs";
import { machine, textFile, textOption } from "./paths.mjs";
import { keep, method, openMix, prepareMix, readMixWindows } from "./policies/mix-model.mjs";
import { option, withKeptFolder } from "./support.mjs";

const removed = (name, shares, rest = "") => shares.map((share) => `${name}:${share}${rest}`);
const SHARES = ["0.5", "0.75", "0.9"];
/** NVIDIA/kvpress spares no layer, and its table is what these are compared to. */
const DEFAULT = [
  ...removed("keydiff", SHARES),
  ...removed("tova", SHARES),
  ...removed("streaming", SHARES),
  ...removed("knorm", SHARES, ":spare=0"),
  ...removed("snapkv", SHARES),
  "pyramidkv:0.9",
  ...removed("random", SHARES),
];

const specs = ["none", ...(textOption("cache")?.split(" ") ?? DEFAULT)];
const lists = specs.map((spec) => (spec === "none" ? [] : parsePolicies(spec)));
const limit = option("limit", 16);
const lengths = textOption("lengths", "1024,4000").split(",").map(Number);
const tasks = textOption("tasks", "passkey,records").split(",");
const questions = textOption("questions", "unknown,known").split(",");
const textsLimit = option("texts-limit", 4);
const out = textOption("out", "policies.json");
/** Tokens of a text that is continued: half of them are read and compressed, the others scored. */
const WINDOW = 2048;

/** The first items of each task and length, in the order of the file. */
async function readItems() {
  const counts = new Map();
  const items = await readRetrievalItems(textFile("retrieval-validation.jsonl"));
  return items.filter(({ task, length }) => {
    if (!tasks.includes(task) || !lengths.includes(length)) return false;
    const count = (counts.get(`${task} ${length}`) ?? 0) + 1;
    counts.set(`${task} ${length}`, count);
    return count <= limit;
  });
}

/** @type {{ task: string, length: number, question: string, scores: any[] }[]} */
const retrieval = [];
/** @type {{ scores: any[] }[]} */
const prose = [];
const results = { machine: machine(), model: "mix-30m", keep, method, specs, retrieval, prose };

async function save() {
  await writeFile(`${out}.part`, `${JSON.stringify(results)}\n`);
  await rename(`${out}.part`, out);
}

async function measure(folder) {
  const { session, lm } = await openMix(folder, "model_policy.onnx", option("threads", 2));
  const { decode } = await readTokenizer(folder);
  for (const { task, length, prompt, answer } of await readItems()) {
    const item = { ...splitPrompt(prompt, decode), answer };
    for (const question of questions) {
      const start = performance.now();
      const [scores] = await policyProbe(lm, [item], lists, { question });
      retrieval.push({ task, length, question, scores });
      console.error(`${task} ${length}, question ${question}: ${Math.round(performance.now() - start)} ms`);
      await save();
    }
  }
  if (textsLimit > 0) {
    const windows = await readMixWindows("validation-prose.u16", WINDOW, textsLimit);
    for (const window of windows) {
      const half = WINDOW / 2;
      const item = {
        context: Array.from(window.subarray(0, half)),
        question: [],
        answer: Array.from(window.subarray(half)),
      };
      const [scores] = await policyProbe(lm, [item], lists);
      prose.push({ scores });
      await save();
    }
  }
  await session.dispose();
}

const percent = (part, whole) => (whole === 0 ? "" : String(Math.round((100 * part) / whole)));

function table() {
  const groups = [
    ...new Set(retrieval.map(({ task, length, question }) => `${task} @${length} ${question}`)),
  ];
  const rows = specs.map((spec, index) => {
    const cells = groups.map((group) => {
      const items = retrieval.filter(
        ({ task, length, question }) => `${task} @${length} ${question}` === group,
      );
      const exact = items.filter(({ scores }) => scores[index].hits === scores[index].tokens);
      return percent(exact.length, items.length);
    });
    const nll = (at) => prose.reduce((sum, { scores }) => sum + scores[at].nll, 0);
    const tokens = prose.reduce((sum, { scores }) => sum + scores[index].tokens, 0);
    const ratio = tokens === 0 ? "" : Math.exp((nll(index) - nll(0)) / tokens).toFixed(4);
    return [spec, ...cells, ratio];
  });
  return [["cache", ...groups, "prose ratio"], ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

console.error(machine());
await withKeptFolder(async (models) => measure(await prepareMix(models)));
console.log(table());
