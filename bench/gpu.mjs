/**
 * kvfold on a GPU: whether it computes what the CPU does, how fast it decodes with a long cache, and how long a fold takes.
 * `node bench/gpu.mjs [--device webgpu] [--only tokens,fold,decode,large] [--contexts 4096,32768] [--windows 128] [--memory 16]
 *   [--bandwidth 4800] [--folder FOLDER] [--graphs FOLDER]`
 *
 * - `tokens`: logits and 40 greedy tokens of prose-6m, whole and folded, in float32, four bits and float16, against the CPU's.
 * - `fold`: prose-6m folded and healed on both; the perplexities of the two.
 * - `decode`: milliseconds a token of a Llama of 0.94 B parameters in float16 with random weights, and what share that is of
 *   the time in which the memory's bandwidth (`--bandwidth`, GB/s) lets weights and cache be read.
 * - `large`: that model's fold to 1/2 with its default method and healing, over windows of 1024 tokens, with `--memory` GiB of
 *   the GPU for hidden states; each graph and task as it ends, and the seconds and bytes of all at the end, or when the
 *   process is told to end before (SIGTERM). `--layers`, `--method`, `--threads`. Where memory is dear to take from the system,
 *   `GLIBC_TUNABLES` matters (docs/cli.md, Devices).
 *
 * `--graphs` keeps the graphs of `decode`, which take minutes to make; `--only graphs` makes nothing else.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fold } from "@kvfold/converter/node";
import { standardForm } from "@kvfold/decoder";
import { createCausalLM, createRandom } from "@kvfold/runtime";
import { chooseDevice, nodeProvider } from "@kvfold/runtime-node";
import { evaluateModels, foldCheckpoint, openBlockMath, quietContext, tokenFile } from "kvfold/jobs";
import { createTimings, timedMath, timedProvider } from "./fold-timings.mjs";
import { LLAMA, writeLlama } from "./gpu/llama.mjs";
import { assetPath, machine, modelFolder, textOption } from "./paths.mjs";
import { configOf, decoderGraph, latentLayer, originalLayer } from "./random-layers.mjs";
import { calibrationWindows, median, option, seconds } from "./support.mjs";

const folder = textOption("folder", join(tmpdir(), "kvfold-gpu"));
const graphs = textOption("graphs", join(folder, "graphs"));
const only = textOption("only", "tokens,fold,decode,large").split(",");
const calibration = (windows) => ({
  files: [tokenFile(assetPath("text/calibration.u16"))],
  windows,
  window: 1024,
});

async function withModel(device, path, options, use) {
  const session = await nodeProvider({ executionProviders: [device] }).createSession({ path });
  try {
    return await use(createCausalLM(session, options));
  } finally {
    await session.dispose();
  }
}

async function greedy(lm, prompt, count) {
  const state = lm.createState();
  const largest = (logits) => logits.indexOf(logits.reduce((best, value) => Math.max(best, value)));
  const first = await state.prefill(prompt);
  const tokens = [largest(first)];
  while (tokens.length < count) tokens.push(largest(await state.decode(tokens.at(-1))));
  state.dispose();
  return { first, tokens, kind: lm.cacheKind };
}

async function compareTokens(device) {
  const [window] = await calibrationWindows(1, 200);
  const folds = {
    whole: { keep: "1" },
    latent: { keep: "1/2", method: "latent", heal: "none" },
    anchored: { keep: "1/4", heal: "none" },
  };
  for (const [name, options] of Object.entries(folds)) {
    const output = join(folder, name);
    const dtypes = ["fp32", "fp16", "q4"];
    const model = modelFolder("prose-6m");
    await foldCheckpoint(
      { model, output, existing: "replace", dtypes, calibration: calibration(8), ...options },
      quietContext,
    );
    for (const file of ["model.onnx", "model_q4.onnx", "model_fp16.onnx"]) {
      const run = (on) =>
        withModel(on, join(output, "onnx", file), {}, (lm) => greedy(lm, window.slice(0, 300), 40));
      const [expected, found] = [await run("cpu"), await run(device)];
      const difference = expected.first.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - found.first[i])),
        0,
      );
      const alike = found.tokens.filter((token, i) => token === expected.tokens[i]).length;
      console.log(
        `${name} ${file}: logits within ${difference.toExponential(1)}, ${alike} of 40 tokens alike, cache ${found.kind}`,
      );
    }
  }
}

/** Seconds between reports of progress, by what was being done. */
function countPhases() {
  const spent = new Map();
  const started = performance.now();
  let [last, since] = ["start", started];
  return {
    enter(phase) {
      const now = performance.now();
      spent.set(last, (spent.get(last) ?? 0) + (now - since) / 1000);
      [last, since] = [phase, now];
    },
    show() {
      this.enter("end");
      const parts = [...spent].map(([name, time]) => `${name} ${time.toFixed(1)}`);
      return `${((performance.now() - started) / 1000).toFixed(1)} s (${parts.join(", ")})`;
    },
  };
}

async function timedFold(options) {
  const phases = countPhases();
  const onProgress = ({ label }) => phases.enter(label.replace(/layer \S+: /, ""));
  const context = { ...quietContext, onProgress, onNotice: console.log };
  const result = await foldCheckpoint({ existing: "replace", ...options }, context);
  console.log(
    `fold on ${result.device}: ${phases.show()}, peak ${(result.peakBytes / 2 ** 30).toFixed(1)} GiB`,
  );
}

async function compareFolds(device) {
  const model = modelFolder("prose-6m");
  const folded = Object.fromEntries(["cpu", device].map((on) => [on, join(folder, `folded-${on}`)]));
  for (const [on, output] of Object.entries(folded))
    await timedFold({
      model,
      output,
      keep: "1/4",
      device: on,
      calibration: calibration(option("small-windows", 32)),
    });
  const files = [tokenFile(assetPath("text/validation.u16"))];
  const { models } = await evaluateModels(
    { models: Object.values(folded), files, windows: 16 },
    quietContext,
  );
  // Without a GPU there is one fold.
  const figures = Object.keys(folded).map((on, index) => `on ${on} ${models[index].perplexity.toFixed(5)}`);
  console.log(`perplexity of the fold ${figures.join(", ")}`);
}

/** Tensors that all lie in one file of random numbers, at its beginning: each becomes memory of its own when it is loaded. */
async function writeGraph(name, attention) {
  const path = join(graphs, `${name}.onnx`);
  if (existsSync(path)) return path;
  await mkdir(graphs, { recursive: true });
  const store = (_, { bytes }) =>
    bytes.byteLength > 256 ? { path: "weights", offset: 0, byteLength: bytes.byteLength } : undefined;
  await writeFile(
    path,
    decoderGraph(configOf(LLAMA), attention(), { form: standardForm("group-query"), dtype: "fp16", store }),
  );
  return path;
}

const variants = {
  original: () => originalLayer(configOf(LLAMA)),
  half: () => latentLayer(configOf(LLAMA), 4, 1 / 2),
  quarter: () => latentLayer(configOf(LLAMA), 4, 1 / 4),
};

/** Float16 numbers from 2^-7 to 2^-5 of either sign. */
async function writeWeights() {
  const random = createRandom(1);
  const halves = Uint16Array.from({ length: (2 * LLAMA.vocabulary * LLAMA.hidden) / 2 }, () => {
    const draw = Math.floor(random() * 2 ** 16);
    return (draw & 0x8000) | 0x2000 | (draw & 0x7ff);
  });
  await writeFile(join(graphs, "weights"), halves);
}

async function timeDecode(device) {
  for (const [name, attention] of Object.entries(variants)) {
    const path = await writeGraph(name, attention);
    await writeWeights();
    for (const context of textOption("contexts", "4096,32768").split(",").map(Number))
      await withModel(device, path, { initialCapacity: context + 256, prefillChunk: 1024 }, async (lm) => {
        const state = lm.createState();
        const ids = Array.from({ length: context }, (_, i) => (i * 7919) % LLAMA.vocabulary);
        const prefill = await seconds(() => state.prefill(ids));
        const times = [];
        for (let i = 0; i < 24; i++) times.push(1000 * (await seconds(() => state.decode(i))));
        const weights =
          2 *
          (LLAMA.layers * 4 * LLAMA.hidden ** 2 +
            3 * LLAMA.layers * LLAMA.hidden * LLAMA.mlp +
            LLAMA.vocabulary * LLAMA.hidden);
        const { key } = lm.cacheLayout.layers[0];
        const cache = 2 * 2 * LLAMA.layers * key.heads * key.size * context;
        const limit = (weights + cache) / option("bandwidth", 4800) / 1e6;
        const time = median(times.slice(4));
        console.log(
          `${name} at ${context}, cache ${lm.cacheKind} ${(cache / 2 ** 20).toFixed(0)} MiB: ${time.toFixed(2)} ms a token, bandwidth allows ${limit.toFixed(2)} (${((100 * limit) / time).toFixed(0)} %); prefill ${(context / prefill).toFixed(0)} tokens/s`,
        );
        state.dispose();
      });
  }
}

async function foldLarge(device) {
  const model = join(folder, "llama");
  const count = await writeLlama(model, option("layers", LLAMA.layers));
  console.log(`a Llama of ${(count / 1e9).toFixed(2)} B parameters`);
  console.log(
    `memory: GLIBC_TUNABLES ${process.env.GLIBC_TUNABLES ?? "not set"}, huge pages ${await hugePages()}`,
  );
  const say = sayingWhen();
  const timings = createTimings({ onEnd: say });
  const deviceBytes = option("memory", 16) * 2 ** 30;
  const provider = timedProvider(nodeProvider({ executionProviders: [device], deviceBytes }), timings);
  const math = timedMath(openBlockMath(option("threads", availableParallelism())), timings);
  const phases = countPhases();
  const show = () => {
    const peak = process.resourceUsage().maxRSS / 2 ** 20;
    console.log(`fold on ${device}: ${phases.show()}, peak ${peak.toFixed(1)} GiB`);
    for (const line of timings.lines()) console.log(line);
  };
  for (const signal of ["SIGTERM", "SIGINT"])
    process.once(signal, () => {
      console.log(`ended by ${signal}`);
      show();
      process.exit(1);
    });
  try {
    await fold({
      from: model,
      to: join(folder, "llama-half"),
      existing: "replace",
      keep: "1/2",
      method: textOption("method"),
      dtypes: ["fp16"],
      windows: await calibrationWindows(option("windows", 128)),
      provider,
      math,
      onBudget: ({ done, total }) => {
        phases.enter("budget");
        say(`budget: ${done} of ${total} layers`);
      },
      onProgress: ({ step, layer, done, total }) => {
        phases.enter(step);
        if (step === "write") say(`layer ${layer} is written: ${done} of ${total}`);
      },
    });
  } finally {
    await math.dispose();
    show();
  }
}

/** Whether the system gives pages of 2 MiB: `always`, `madvise` (to those that ask) or `never`, in brackets. */
const hugePages = () =>
  readFile("/sys/kernel/mm/transparent_hugepage/enabled", "utf8").then(
    (text) => text.trim(),
    () => "unknown",
  );

/** Prints lines with the seconds since now. */
function sayingWhen() {
  const started = performance.now();
  return (text) => console.log(`${((performance.now() - started) / 1000).toFixed(1).padStart(7)} s  ${text}`);
}

const { device, reason } = await chooseDevice(textOption("device", "webgpu")).catch((error) => {
  console.error(error.message);
  return { device: "cpu", reason: "cpu alone" };
});
console.log(`${machine()}; ${reason}`);
await mkdir(folder, { recursive: true });
if (only.includes("graphs"))
  for (const [name, attention] of Object.entries(variants)) await writeGraph(name, attention);
if (only.includes("tokens")) await compareTokens(device);
if (only.includes("fold")) await compareFolds(device);
if (only.includes("decode")) await timeDecode(device);
if (only.includes("large")) await foldLarge(device);
