/**
 * What a prompt costs with folded heads, against the original, in kvfold's runtime with its own prefill chunk: a decoder
 * of prose-27m's shape with random weights, run in turn; typical seconds and the ratio. With `--only` one model, also the most
 * that the process has grown by while it read (Linux).
 * `node bench/prefill.mjs [--prompts 1024,4096] [--repeats 5] [--threads 2] [--quantile 0.5] [--chunk 512] [--only "NAME; NAME"]`
 */
import { standardForm } from "@kvfold/decoder";
import { createCausalLM } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { forgetPeak, mebibytes, peakBytes, residentBytes } from "./own-memory.mjs";
import { machine, option, textOption } from "./paths.mjs";
import {
  byFrequency,
  configOf,
  decoderOf,
  jointLayer,
  latentLayer,
  originalLayer,
} from "./random-layers.mjs";

const repeats = option("repeats", 5);
const threads = option("threads", 2);
const quantile = option("quantile", 0.5);
const prompts = textOption("prompts", "1024,4096").split(",").map(Number);
const longest = Math.max(...prompts);

const config = configOf({
  heads: 8,
  kvHeads: 8,
  headDim: 64,
  theta: 10_000,
  hidden: 512,
  mlp: 1376,
  layers: option("layers", 8),
  vocabulary: 4096,
  positions: longest,
});
const models = {
  original: () => decoderOf(config, originalLayer(config)),
  "original, standard graph": () => decoderOf(config, originalLayer(config), standardForm("group-query")),
  latent: () => decoderOf(config, latentLayer(config, 1)),
  anchored: () => decoderOf(config, jointLayer(config, 1, byFrequency(16, 0.4))),
  "anchored, C = 1": () =>
    decoderOf(
      config,
      jointLayer(config, 1, () => 1),
    ),
};
const only = textOption("only")?.split("; ");
const chosen = Object.entries(models).filter(([name]) => only === undefined || only.includes(name));

const provider = nodeProvider();
const runners = [];
for (const [name, model] of chosen) {
  const session = await provider.createSession(model(), { threads });
  const options = { initialCapacity: longest, prefillChunk: option("chunk", 512) };
  runners.push({ name, session, model: createCausalLM(session, options) });
}
const opened = await residentBytes();
forgetPeak();

async function prefill({ model }, length) {
  const ids = Array.from({ length }, (_, index) => (index * 37) % 4096);
  const state = model.createState();
  const start = performance.now();
  await state.prefill(ids);
  const seconds = (performance.now() - start) / 1000;
  state.dispose();
  return seconds;
}

console.log(`${machine()}, ${threads} threads, ${repeats} repeats`);
for (const length of prompts) {
  const times = runners.map(() => []);
  for (let round = -1; round < repeats; round++)
    for (const [index, runner] of runners.entries()) {
      const seconds = await prefill(runner, length);
      if (round >= 0) times[index].push(seconds);
    }
  const typical = times.map((list) => list.sort((a, b) => a - b)[Math.floor(list.length * quantile)]);
  for (const [index, { name }] of runners.entries())
    console.log(
      `| ${length} | ${name} | ${typical[index].toFixed(3)} s | ${(typical[index] / typical[0]).toFixed(2)} |`,
    );
}
if (runners.length === 1)
  console.log(`the process grew by ${mebibytes(peakBytes() - opened)} MiB at most while it read`);
for (const { session } of runners) await session.dispose();
