/**
 * One decode step of one layer's attention with a long cache, in delta decoders: the original, `latent`, and joint latents
 * over chunk sizes and spans, at equal bytes of cache. All graphs of a shape run in turn, so that a busy machine slows them
 * alike; medians, in milliseconds, and how often the cache could be read meanwhile by a plain maximum over the same
 * numbers. Random weights; the layer's projections are small and the same for all.
 * Where other work disturbs that, `--kernels` adds the time inside of ONNX Runtime's kernels: of each node its fastest run,
 * summed over the layer, and over what all layers of a model share; `--nodes` names the dearest.
 * `node bench/attention.mjs [--context 4096] [--repeats 25] [--threads 2] [--quantile 0.5] [--kernels [--nodes]] [--shapes prose-27m,mix-30m]`
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGraphBuilder } from "@kvfold/onnx";
import * as ort from "onnxruntime-node";
import { fail, machine, option, textOption } from "./paths.mjs";
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

const context = option("context", 4096);
const repeats = option("repeats", 25);
const threads = option("threads", 2);
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
    [8, 16].flatMap((size) =>
      [0.4, 0.8, 1.6].map((phi) => [`C_0 ${size}, phi ${phi}`, byFrequency(size, phi)]),
    ),
  ),
};

async function openLayer(config, attention, profile) {
  const { bytes, externalData } = decoderOf(config, attention);
  const session = await ort.InferenceSession.create(bytes, {
    externalData,
    intraOpNumThreads: threads,
    ...(profile && { enableProfiling: true, profileFilePrefix: profile }),
  });
  return { session, feeds: feedsOf(session, context) };
}

function feedsOf(session, length) {
  const int64 = (values, dims) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), dims);
  const all = {
    input_ids: int64([3], [1, 1]),
    position_ids: int64([length], [1, 1]),
    past_positions: int64(
      Array.from({ length }, (_, index) => index),
      [1, length],
    ),
    past_length: int64([length], []),
    num_logits_to_keep: int64([1], []),
  };
  const feeds = Object.fromEntries(
    session.inputMetadata.flatMap(({ name }) => (all[name] ? [[name, all[name]]] : [])),
  );
  for (const { name, shape } of session.inputMetadata) {
    if (!name.startsWith("past_key_values")) continue;
    const dims = [1, shape[1], length, shape[3]];
    feeds[name] = new ort.Tensor("float32", random(shape[1] * length * shape[3]), dims);
  }
  return feeds;
}

/** The largest number of a layer's cache: what reading it once takes. */
async function openReading(feeds) {
  const pasts = Object.entries(feeds).filter(([name]) => name.startsWith("past_key_values"));
  const graph = createGraphBuilder({ graphName: "reading", opsets: { "": 18 } });
  const largest = pasts.map(([name, { dims }]) => {
    graph.input(name, "float32", dims);
    return graph.node("ReduceMax", [name], { name: `/${name}`, attributes: { keepdims: 0 } });
  });
  graph.nodeWithOutputs("Max", largest, ["largest"], { name: "/largest" });
  graph.output("largest", "float32", []);
  const session = await ort.InferenceSession.create(graph.toBytes(), { intraOpNumThreads: threads });
  return { session, feeds: Object.fromEntries(pasts) };
}

/** The fastest of a few runs: threads of the graph before still spin when the first begins. */
async function time({ session, feeds }) {
  let fastest = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 4; run++) {
    const start = performance.now();
    await session.run(feeds);
    fastest = Math.min(fastest, performance.now() - start);
  }
  return fastest;
}

/** On a machine that does other work the first decile says more than the median. */
const quantile = option("quantile", 0.5);
const typical = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length * quantile)];

/** Typical times of each graph and of reading its cache, run in turn. */
async function measure(layers) {
  const readings = await Promise.all(layers.map(({ feeds }) => openReading(feeds)));
  const times = layers.map(() => ({ step: [], reading: [] }));
  for (let round = -2; round < repeats; round++) {
    for (const [index, layer] of layers.entries()) {
      const step = await time(layer);
      const reading = await time(readings[index]);
      if (round < 0) continue;
      times[index].step.push(step);
      times[index].reading.push(reading);
    }
  }
  for (const { session } of readings) await session.release();
  return times.map(({ step, reading }) => {
    const often = typical(step.map((value, index) => value / reading[index]));
    return `${typical(step).toFixed(2)} | ${often.toFixed(1)}`;
  });
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
  if (process.argv.includes("--nodes")) printDearest(fastest);
  const sum = (part) =>
    [...fastest].reduce((total, [name, time]) => total + (name.includes(part) ? time : 0), 0) / 1000;
  return `${sum("layers.0").toFixed(2)} + ${sum("/positions/").toFixed(2)}`;
}

/** The nodes that take longest, in milliseconds. */
function printDearest(fastest) {
  const dearest = [...fastest].sort(([, one], [, other]) => other - one).slice(0, 10);
  for (const [name, time] of dearest)
    console.error(`${(time / 1000).toFixed(3)} ${name.replace("_kernel_time", "")}`);
}

function rowsOf(config, { groups }) {
  const only = textOption("only");
  return [
    ["original", () => originalLayer(config), [0]],
    ["`latent`", (count) => latentLayer(config, count), groups],
    ...Object.entries(chunkings).map(([label, chunkOf]) => [
      label,
      (count) => jointLayer(config, count, chunkOf),
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
