/**
 * Random weights in the shapes of models that people run: `inspect`, `fold --keep 1/2` into float32, float16 and four
 * bits, then `eval` and `generate` with each, all by the command line in processes of their own. Says what failed, and
 * how much memory each took at most. Nothing of the models themselves is used: shapes are those of their `config.json`.
 *
 * `node bench/true-shapes.mjs [--only SmolLM2-135M,Qwen3-0.6B] [--layers 2] [--dtypes fp32,fp16,q4] [--windows 2]
 *   [--window 128] [--folder FOLDER] [--kept FOLDER] [--method latent] [--threads 2]`
 *
 * Layers are cut where a model is large (`true-shapes/shapes.json` says to how many; Gemma's sixth is the first without a
 * window); `--layers` sets another number. With `--kept` checkpoints and folds stay in that folder, and a fold that is there
 * already is not made again: a large one can be evaluated another day. Memory is the high-water mark of the process
 * (`VmHWM`, Linux only), which counts the pages of files that are mapped.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderTable } from "kvfold/jobs";
import { assetPath, fail, machine, textOption } from "./paths.mjs";
import { kvfold } from "./true-shapes/kvfold-process.mjs";
import { writeCheckpoint } from "./true-shapes/synthetic-checkpoint.mjs";

/**
 * `config.json` of each as published; `layers` of its layers are run unless told otherwise. `Qwen2-7B-vocabulary` has the vocabulary
 * of Qwen2-7B over the blocks of Qwen2-0.5B.
 */
const shapes = JSON.parse(await readFile(new URL("true-shapes/shapes.json", import.meta.url), "utf8"));

const list = (name, fallback) => textOption(name, fallback).split(",");
const dtypes = list("dtypes", "fp32,fp16,q4");
const tokens = assetPath("text/calibration.u16");
const kept = textOption("kept");

const rows = [];

async function step(model, name, args, figure = () => "") {
  const { code, stdout, stderr, seconds, peak } = await kvfold(...args, "--json");
  const failed = code !== 0;
  const result = failed ? stderr.trim().slice(0, 400) : figure(JSON.parse(stdout));
  rows.push({ model, name, seconds, peak, result: failed ? `FAILED (${code}): ${result}` : result });
  console.error(`${model}: ${name}, ${seconds.toFixed(0)} s, ${gibibytes(peak)} GiB, ${rows.at(-1).result}`);
  return !failed;
}

const gibibytes = (bytes) => (bytes / 2 ** 30).toFixed(2);

const perplexities = ({ models }) => models.map(({ perplexity }) => perplexity.toFixed(0)).join(", ");

async function measureShape(name, folder) {
  const { config, layers } =
    shapes[name] ?? fail(`there is no ${name}; choose of ${Object.keys(shapes).join(", ")}`);
  const layerCount = Number(textOption("layers", layers));
  const model = join(folder, `${name}-${layerCount}`);
  const half = `${model}-half`;
  const parameters = await writeCheckpoint(model, { ...config, num_hidden_layers: layerCount });
  const title = `${name}, ${layerCount} of ${config.num_hidden_layers} layers, ${(parameters / 1e6).toFixed(0)} M`;
  await step(title, "inspect", ["inspect", model]);
  const folded = existsSync(half) || (await foldInto(half, { title, model }));
  for (const dtype of folded ? dtypes : []) {
    const text = ["--tokens", tokens, "--windows", "1", "--window", "64", "--dtype", dtype];
    // The checkpoint beside it, once: it is exported unfolded for that.
    const models = dtype === dtypes[0] ? [model, half] : [half];
    await step(
      title,
      `eval, ${dtype}`,
      ["eval", ...models, ...text],
      (result) => `perplexity ${perplexities(result)}`,
    );
    await step(
      title,
      `generate, ${dtype}`,
      ["generate", half, "--prompt", "It was a dark", "--max-new-tokens", "8", "--dtype", dtype],
      (result) => `${result.tokens} tokens`,
    );
  }
  if (kept !== undefined) return;
  await rm(model, { recursive: true });
  await rm(half, { recursive: true, force: true });
}

function foldInto(half, { title, model }) {
  const text = [
    "--calibration",
    tokens,
    "--windows",
    textOption("windows", "2"),
    "--window",
    textOption("window", "128"),
  ];
  const chosen = ["method", "threads"].filter((name) => textOption(name) !== undefined);
  const options = chosen.flatMap((name) => [`--${name}`, textOption(name)]);
  return step(
    title,
    "fold --keep 1/2",
    ["fold", model, "-o", half, "--keep", "1/2", "--dtype", dtypes.join(), ...text, ...options],
    ({ cacheBytesPerToken: bytes }) => `cache ${bytes.before} -> ${bytes.after} bytes a token`,
  );
}

async function workFolder() {
  if (kept === undefined) return mkdtemp(join(textOption("folder", tmpdir()), "kvfold-shapes-"));
  await mkdir(kept, { recursive: true });
  return kept;
}

const folder = await workFolder();
try {
  for (const name of list("only", Object.keys(shapes).join())) await measureShape(name, folder);
} finally {
  if (kept === undefined) await rm(folder, { recursive: true, force: true });
}
console.log(machine());
console.log(
  renderTable(rows, [
    { heading: "model", cell: ({ model }) => model },
    { heading: "command", cell: ({ name }) => name },
    { heading: "seconds", align: "right", cell: ({ seconds }) => seconds.toFixed(0) },
    { heading: "peak GiB", align: "right", cell: ({ peak }) => gibibytes(peak) },
    { heading: "result", cell: ({ result }) => result },
  ]),
);
if (rows.some(({ result }) => result.startsWith("FAILED"))) process.exitCode = 1;
