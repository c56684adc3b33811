/**
 * One decode step of one layer's attention with a long cache: the original, `latent`, and joint latents
 * over chunk sizes and spans, at equal bytes of cache. All graphs of a shape run in turn, so that a busy machine slows them
 * alike; medians, in milliseconds. Each cell is the step with the whole cache as outputs, which Node copies, and, in
 * brackets, with none of it. Random weights; the layer's projections are small and the same for all.
 * Where other work disturbs that, `--kernels` adds the time inside of ONNX Runtime's kernels: of each node its fastest run,
 * summed over the layer, and over what all layers of a model share.
 * `node bench/anchored-step.mjs [--context 4096] [--repeats 25] [--threads 2] [--quantile 0.5] [--kernels] [--shapes prose-27m,mix-30m]`
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { fail, machine, textOption } from "./paths.mjs";
import {
  byFrequency,
  configOf,
  decoderOf,
  jointLayer,
  latentLayer,
  originalLayer,
  random,
  rankOf,
} from "./random-layers.mjs";

const number = (name, fallback) => Number(textOption(name, fallback));
const context = number("context", 4096);
const repeats = number("repeats", 25);
const threads = number("threads", 2);
/** Small, so that attention takes the time. */
const rest = { hidden: 64, mlp: 8, layers: 1, vocabulary: 16, positions: context + 1 };

const shapes = {
  "prose-27m": { heads: 8, kvHeads: 8, headDim: 64, theta: 10_000, groups: [1, 2] },
  "mix-30m": { heads: 8, kvHeads: 4, headDim: 64, theta: 10_000, groups: [1] },
  "SmolLM2-135M": { heads: 9, kvHeads: 3, headDim: 64, theta: 100_000, groups: [1] },
  "Llama-3.2-1B": { heads: 32, kvHeads: 8, headDim: 64, theta: 500_000, groups: [1, 4] },
};

const chunkings = {
  ...Object.fromEntries([1, 8, 16, 32, 64].map((size) => [`C = ${size}`, () => size])),
  ...Object.fromEntries(
    [2, 4, 8, 16].flatMap((size) =>
      [0.8, 1.6].map((phi) => [`C_0 ${size}, phi ${phi}`, byFrequency(size, phi)]),
    ),
  ),
};

async function openLayer(config, [attention, kind], profile) {
  const { bytes, externalData } = decoderOf(config, attention, kind);
  const session = await ort.InferenceSession.create(bytes, {
    externalData,
    intraOpNumThreads: threads,
    ...(profile && { enableProfiling: true, profileFilePrefix: profile }),
  });
  return { session, feeds: feedsOf(session, context) };
}

function feedsOf(session, length) {
  const int64 = (values, dims) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), dims);
  const feeds = {
    input_ids: int64([3], [1, 1]),
    attention_mask: int64(Array(length + 1).fill(1), [1, length + 1]),
    position_ids: int64([length], [1, 1]),
  };
  for (const { name, shape } of session.inputMetadata) {
    if (!name.startsWith("past")) continue;
    const dims = [1, shape[1], length, shape[3]];
    feeds[name] = new ort.Tensor("float32", random(shape[1] * length * shape[3]), dims);
  }
  return feeds;
}

async function time({ session, feeds }, fetches) {
  const start = performance.now();
  await session.run(feeds, fetches);
  return performance.now() - start;
}

/** On a machine that does other work the first decile says more than the median. */
const quantile = number("quantile", 0.5);
const typical = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length * quantile)];

/** Typical times of `[all outputs, no cache]` for each graph, run in turn. */
async function measure(layers) {
  const times = layers.map(() => ({ all: [], none: [] }));
  for (let round = -2; round < repeats; round++) {
    for (const [index, layer] of layers.entries()) {
      const all = await time(layer);
      const none = await time(layer, ["logits"]);
      if (round < 0) continue;
      times[index].all.push(all);
      times[index].none.push(none);
    }
  }
  return times.map(({ all, none }) => `${typical(all).toFixed(2)} (${typical(none).toFixed(2)})`);
}

/** The fastest run of each node, in milliseconds: of the layer, and of what layers share. */
async function kernelTimes(folder, prefix) {
  const file = (await readdir(folder)).find((name) => name.startsWith(prefix));
  const events = JSON.parse(await readFile(join(folder, file), "utf8"));
  const fastest = new Map();
  for (const { cat, name, dur, args } of events) {
    // An If's own time counts its branch again.
    if (cat !== "Node" || !name.endsWith("_kernel_time") || args.op_name === "If") continue;
    fastest.set(name, Math.min(dur, fastest.get(name) ?? Number.POSITIVE_INFINITY));
  }
  const sum = (part) =>
    [...fastest].reduce((total, [name, time]) => total + (name.includes(part) ? time : 0), 0) / 1000;
  return `${sum("layers.0").toFixed(2)} + ${sum("/positions/").toFixed(2)}`;
}

function rowsOf(config, { groups }) {
  const only = textOption("only");
  return [
    ["original, GroupQueryAttention", () => [originalLayer(config), "group-query"], [0]],
    ["original, MatMul and Softmax", () => [originalLayer(config), "plain"], [0]],
    ["`latent`", (count) => [latentLayer(config, count), "group-query"], groups],
    ...Object.entries(chunkings).map(([label, chunkOf]) => [
      label,
      (count) => [jointLayer(config, count, chunkOf), "plain"],
      groups,
    ]),
  ].filter(([label]) => only === undefined || label.includes(only));
}

async function table(name, folder) {
  const shape = shapes[name] ?? fail(`${name} is none of ${Object.keys(shapes).join(", ")}`);
  const config = configOf({ ...shape, ...rest });
  const cells = rowsOf(config, shape).flatMap(([label, make, groups]) =>
    groups.map((count) => ({ label, make, count })),
  );
  const prefix = (index) => `${name}-${index}-`;
  const layers = [];
  for (const [index, { make, count }] of cells.entries())
    layers.push(await openLayer(config, make(count), folder && join(folder, prefix(index))));
  const times = await measure(layers);
  for (const { session } of layers) {
    if (folder) session.endProfiling();
    await session.release();
  }
  console.log(`\n## ${name}\n`);
  for (const [index, { label, count }] of cells.entries()) {
    const latents = count === 0 ? "" : `${count} of ${rankOf(shape, count)}`;
    const kernels = folder ? ` ${await kernelTimes(folder, prefix(index))} |` : "";
    console.log(`| ${label} | ${latents} | ${times[index]} |${kernels}`);
  }
}

console.log(`${machine()}, ${threads} threads, ${context} cached tokens, ${repeats} repeats`);
const profiles = process.argv.includes("--kernels")
  ? await mkdtemp(join(tmpdir(), "kvfold-kernels-"))
  : undefined;
for (const name of textOption("shapes", Object.keys(shapes).join(",")).split(","))
  await table(name, profiles);
if (profiles) await rm(profiles, { recursive: true });
