/**
 * Reproduces the figures of mix-30m, a model of the shape of Qwen3 with a context of 4096 tokens, as it is, unfolded:
 * perplexity on prose, code and retrieval documents, and exact answers to retrieval prompts.
 *
 * `node bench/mix-30m.mjs --models FOLDER --texts FOLDER [--windows 4] [--limit 2] [--dtype fp32] [--out docs/mix-30m.json]`
 *
 * The first folder holds `mix-30m`; the second `validation-prose.u16`, `validation-code.u16`, `validation-retrieval.u16`
 * and `retrieval-validation.jsonl`. Without `--windows` and `--limit` all is measured, which takes an hour or more on two
 * cores, and the exit code is 1 where a perplexity is further than 0.1 % from the figure of the model's authors. With
 * `--out` the figures go into a file, of which `render-quality.mjs` makes a section of docs/results.md.
 */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { formatBytes } from "@kvfold/runtime";
import {
  disableTelemetry,
  evaluateModels,
  probeRetrieval,
  quietContext,
  renderTable,
  tokenFile,
} from "kvfold/jobs";
import { machine, modelFolder, textFile, textOption } from "./paths.mjs";

disableTelemetry();

/** Predicted tokens of a window; a window holds one more. */
const WINDOW = 4096;
/** Windows of the files, and perplexities as they were measured in training, by another program. */
const TEXTS = [
  { name: "prose", windows: 61, expected: 21.958 },
  { name: "code", windows: 64, expected: 4.409 },
  { name: "retrieval", windows: 32, expected: 16.791 },
];
const TOLERANCE = 1e-3;

const model = modelFolder("mix-30m");
const dtype = textOption("dtype");
const limited = textOption("windows") ?? textOption("limit");

async function measurePerplexity({ name, windows, expected }) {
  const [figures] = (
    await evaluateModels(
      {
        models: [model],
        files: [tokenFile(textFile(`validation-${name}.u16`))],
        windows: Number(textOption("windows", windows)),
        window: WINDOW,
        dtype,
      },
      quietContext,
    )
  ).models;
  return { name, expected, ...figures };
}

const percent = ({ perplexity, expected }) => `${(100 * (perplexity / expected - 1)).toFixed(3)} %`;

const figureColumns = [
  { heading: "text", cell: ({ name }) => name },
  { heading: "tokens", align: "right", cell: ({ tokens }) => String(tokens) },
  { heading: "perplexity", align: "right", cell: ({ perplexity }) => perplexity.toFixed(3) },
  ...(limited
    ? []
    : [
        { heading: "in training", align: "right", cell: ({ expected }) => expected.toFixed(3) },
        { heading: "difference", align: "right", cell: percent },
      ]),
];

const answerColumns = [
  { heading: "task", cell: ({ task }) => task },
  { heading: "length", align: "right", cell: ({ length }) => String(length) },
  {
    heading: "teacher-forced",
    align: "right",
    cell: ({ teacherForced, items }) => `${teacherForced}/${items}`,
  },
  { heading: "greedy", align: "right", cell: ({ greedy, items }) => `${greedy}/${items}` },
  { heading: "tokens", align: "right", cell: ({ accuracy }) => `${(100 * accuracy).toFixed(2)} %` },
];

// What is missing is said before hours are spent on the rest.
const prompts = textFile("retrieval-validation.jsonl");
for (const { name } of TEXTS) textFile(`validation-${name}.u16`);
console.error(machine());

const figures = [];
for (const text of TEXTS) {
  figures.push(await measurePerplexity(text));
  console.error(`${text.name}: ${figures.at(-1).perplexity.toFixed(3)}`);
}
console.log(renderTable(figures, figureColumns));

const limit = textOption("limit");
const { groups, all } = (
  await probeRetrieval(
    { models: [model], file: prompts, limit: limit && Number(limit), dtype },
    { ...quietContext, onProgress: ({ done, total }) => process.stderr.write(`\r${done}/${total} tokens `) },
  )
).models[0];
console.log(`\n${renderTable([...groups, { task: "all", length: "", ...all }], answerColumns)}`);
const out = textOption("out");
if (out !== undefined) {
  const texts = figures.map(({ name, tokens, perplexity, expected }) => ({
    name,
    tokens,
    perplexity,
    expected,
  }));
  // Figures of folds come from runs of their own.
  const { folds = [] } = existsSync(out) ? JSON.parse(await readFile(out, "utf8")) : {};
  await writeFile(out, `${JSON.stringify({ texts, retrieval: groups, folds }, null, 1)}\n`);
}
console.log(`\npeak memory ${formatBytes(process.resourceUsage().maxRSS * 1024)}`);

const off = figures.filter(({ perplexity, expected }) => !(Math.abs(perplexity / expected - 1) <= TOLERANCE));
if (!limited && off.length > 0) {
  console.error(`further than 0.1 % from the expected figure: ${off.map(({ name }) => name).join(", ")}`);
  process.exitCode = 1;
}
