/**
 * What cache policies cost in time, on mix-30m in float32, as ratios within rounds that take turns: reading a prompt through the
 * policy graph against the delta graph, compressing the cache against reading, and a step under each policy against a step of the
 * delta graph without one.
 *
 * `node bench/policy-speed.mjs --models FOLDER --texts FOLDER [--tokens 4096] [--steps 8] [--repeats 5] [--threads 1]
 *   [--parts prefill,compress,decode] [--only NAME,NAME] [--keep 1] [--folder FOLDER]`
 *
 * Times are CPU times, which with one thread are those of the work. The folders are those of `policies.mjs`.
 */
import { parsePolicies } from "@kvfold/policies";
import { machine, textOption } from "./paths.mjs";
import { openMix, prepareMix, readMixWindows } from "./policies/mix-model.mjs";
import { median, option, withKeptFolder } from "./support.mjs";

const tokens = option("tokens", 4096);
const steps = option("steps", 8);
const repeats = option("repeats", 5);
const threads = option("threads", 1);
const parts = textOption("parts", "prefill,compress,decode").split(",");
const only = textOption("only");

/** Policies that act once, after the prompt; budgets that leave all tokens would do nothing. */
const AFTER_PREFILL = [
  "keydiff:0.5",
  "streaming:0.5",
  "knorm:0.5",
  "tova:0.5",
  "snapkv:0.5",
  "pyramidkv:0.5",
  "expected:0.5",
  "observed:0.5",
  "fastgen:0.95",
  "kvmerger:0.5",
  "think:0.4",
  "decoquant:4",
  "random:0.5",
];
/** Policies that act at every step, on as many tokens as the caches that they are compared to hold. */
const AT_STEPS = [`streaming:${tokens}t`, `tova:${tokens}t`, "corm"];

const chosen = (names) =>
  names.filter((name) => only === undefined || only.split(",").some((part) => name.startsWith(part)));

const open = async (folder, graph) => (await openMix(folder, graph, threads)).lm;

/** Milliseconds of CPU time, which other work on the machine changes less than the time that passes. */
async function timed(work) {
  const start = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(start);
  return { time: (user + system) / 1000, result };
}

/** Runs each of `jobs` in turn and gives the times of each, the first round left out. */
async function rounds(jobs, count = repeats) {
  const times = Object.fromEntries(Object.keys(jobs).map((name) => [name, []]));
  for (let round = -1; round < count; round++)
    for (const [name, job] of Object.entries(jobs)) {
      const { time } = await timed(job);
      if (round >= 0) times[name].push(time);
    }
  return times;
}

/** Times, and ratios to those of the first name within each round. */
function print(title, times, unit) {
  const [base] = Object.values(times);
  console.log(`\n| ${title} | ms ${unit} | ratio |\n| --- | ---: | ---: |`);
  for (const [name, own] of Object.entries(times)) {
    const ratio = median(own.map((time, index) => time / base[index]));
    console.log(`| ${name} | ${median(own).toFixed(1)} | ${ratio.toFixed(2)} |`);
  }
}

async function measurePrefill({ delta, policy }, prompt) {
  const read = (lm, options) => async () => {
    const state = lm.createState(options);
    await state.prefill(prompt);
    state.dispose();
  };
  const all = 2 ** 31 - 1;
  const times = await rounds({
    "delta graph": read(delta, {}),
    "policy graph": read(policy, {}),
    "policy graph, attention of 32 tokens": read(policy, { observe: { attention: 32 } }),
    "policy graph, queries of all tokens": read(policy, { observe: { queries: all } }),
    "policy graph, sums of attention": read(policy, { observe: { attentionSums: all } }),
  });
  print(`prefill of ${prompt.length} tokens`, times, "a prompt");
}

/** Each policy finds what it alone asks a prompt to be read for. */
async function measureCompression({ policy }, prompt) {
  const byNeeds = new Map();
  for (const name of chosen(AFTER_PREFILL))
    byNeeds.set(needsOf(name), [...(byNeeds.get(needsOf(name)) ?? []), name]);
  console.log(`\n| compression of ${prompt.length} tokens | ms | share of prefill |\n| --- | ---: | ---: |`);
  for (const names of byNeeds.values()) {
    const [{ needs }] = parsePolicies(names[0]);
    const state = policy.createState({ observe: needs });
    const { time: prefill } = await timed(() => state.prefill(prompt));
    for (const name of names) {
      const times = [];
      for (let round = -1; round < Math.min(repeats, 3); round++) {
        const copy = state.copy();
        const { time } = await timed(() => copy.compress(parsePolicies(name)));
        if (round >= 0) times.push(time);
        copy.dispose();
      }
      console.log(`| ${name} | ${median(times).toFixed(1)} | ${(median(times) / prefill).toFixed(3)} |`);
    }
    state.dispose();
  }
}

const needsOf = (name) => JSON.stringify(parsePolicies(name)[0].needs ?? {});

async function measureDecoding({ delta, policy }, prompt) {
  const states = {
    "no policy, delta graph": delta.createState(),
    "no policy, policy graph": policy.createState(),
  };
  for (const name of chosen(["keydiff:0.5", "think:0.4", ...AT_STEPS]))
    states[name] = policy.createState({ cache: parsePolicies(name) });
  for (const state of Object.values(states)) await state.prefill(prompt);
  const jobs = Object.entries(states).map(([name, state]) => [
    name,
    async () => {
      for (let step = 0; step < steps; step++) await state.decode(17 + step);
    },
  ]);
  const times = await rounds(Object.fromEntries(jobs));
  const perStep = Object.entries(times).map(([name, own]) => [name, own.map((time) => time / steps)]);
  print(`decoding after ${prompt.length} tokens`, Object.fromEntries(perStep), "a step");
}

console.error(machine());
await withKeptFolder(async (models) => {
  const folder = await prepareMix(models);
  const lms = {
    delta: await open(folder, "model_delta.onnx"),
    policy: await open(folder, "model_policy.onnx"),
  };
  const [window] = await readMixWindows("validation-prose.u16", tokens, 1);
  const prompt = Array.from(window);
  if (parts.includes("prefill")) await measurePrefill(lms, prompt);
  if (parts.includes("compress")) await measureCompression(lms, prompt);
  if (parts.includes("decode")) await measureDecoding(lms, prompt);
});
process.exit(0);
