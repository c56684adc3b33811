/**
 * What decoding adds to the memory of a process: a Llama of random weights decodes token by token up to a long context, and
 * then the same stretch of a text over and over. Says how much the process has grown for each byte of cache, now and at its
 * peak, and how much in the second part, where the cache stays as it is. Linux only. The last line is JSON.
 * `node bench/memory.mjs [--tokens 16384] [--steps 10000] [--layers 4] [--threads 2] [--only original|latent|anchored]`
 */
import { createCausalLM } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";
import { mebibytes, peakBytes, residentBytes } from "./own-memory.mjs";
import { machine, option, textOption } from "./paths.mjs";
import {
  byFrequency,
  configOf,
  decoderOf,
  jointLayer,
  latentLayer,
  originalLayer,
} from "./random-layers.mjs";

const tokens = option("tokens", 16_384);
const steps = option("steps", 10_000);
const threads = option("threads", 2);
const kind = textOption("only", "original");
/** The second part decodes this many tokens after as many, then forgets them again. */
const STRETCH = 256;

const config = configOf({
  heads: 8,
  kvHeads: 8,
  headDim: 64,
  theta: 10_000,
  hidden: 64,
  mlp: 64,
  layers: option("layers", 4),
  vocabulary: 512,
  positions: tokens,
});
const layers = {
  original: () => originalLayer(config),
  latent: () => latentLayer(config, 1),
  anchored: () => jointLayer(config, 1, byFrequency(16, 0.4)),
};

const session = await nodeProvider().createSession(decoderOf(config, layers[kind]()), { threads });
const model = createCausalLM(session, { maxPositions: tokens });
const idOf = (index) => (index * 37) % 512;

async function decodeUpTo(state, length) {
  while (state.length < length) await state.decode(idOf(state.length));
}

/** What the process has grown by when `length` tokens are cached. */
async function sample(state, before) {
  const grown = (await residentBytes()) - before;
  const { length, cacheBytes } = state;
  return { length, cacheBytes, grown, peak: peakBytes() - before };
}

/** Up to all tokens, looked at on the way. */
async function growCache(before) {
  const state = model.createState();
  const samples = [];
  for (let length = tokens / 8; length <= tokens; length += tokens / 8) {
    await decodeUpTo(state, length);
    samples.push(await sample(state, before));
  }
  state.dispose();
  return samples;
}

/** Steps after a cache that no longer grows; what is resident after each tenth of them. */
async function stayAsLarge() {
  const state = model.createState();
  await decodeUpTo(state, 2 * STRETCH);
  const resident = [];
  for (let step = 0; step <= steps; step++) {
    if (state.length === 2 * STRETCH) state.truncate(STRETCH);
    await state.decode(idOf(step));
    if (step % Math.ceil(steps / 10) === 0) resident.push(await residentBytes());
  }
  state.dispose();
  return resident;
}

const warm = model.createState();
await decodeUpTo(warm, 2 * STRETCH);
warm.dispose();
const before = await residentBytes();
console.log(`${machine()}, ${threads} threads; ${kind}, ${mebibytes(before)} MiB before`);
const samples = await growCache(before);
console.log(
  "\n| cached tokens | cache, MiB | grown by, MiB | peak of that, MiB | grown / cache | peak / cache |",
);
console.log("| ---: | ---: | ---: | ---: | ---: | ---: |");
for (const { length, cacheBytes, grown, peak } of samples) {
  const sizes = [cacheBytes, grown, peak].map(mebibytes);
  const ratios = [grown, peak].map((bytes) => (bytes / cacheBytes).toFixed(2));
  console.log(`| ${[length, ...sizes, ...ratios].join(" | ")} |`);
}
const resident = await stayAsLarge();
const drift = resident.at(-1) - resident[1];
console.log(
  `\n${steps} steps after ${STRETCH} to ${2 * STRETCH} tokens: ${resident.map(mebibytes).join(", ")} MiB`,
);
console.log(`from the first tenth to the last: ${mebibytes(drift)} MiB`);
console.log(JSON.stringify({ kind, before, samples, resident, drift }));
await session.dispose();
