/**
 * A conversation beyond the context of a model: turns of held text, of which policies keep the first tokens and the newest. Each
 * turn is predicted after what the cache holds, and then takes part in it. It is compared to a window that is read anew
 * before each turn, of as many tokens as the policy keeps.
 *
 * `node bench/conversation.mjs --models FOLDER --texts FOLDER [--turns 20] [--turn 512] [--kept 2048] [--cache "streaming:2048t"]
 *   [--keep 1] [--method anchored] [--windows 16] [--threads 2] [--folder FOLDER]`
 *
 * The folders are those of `policies.mjs`, and the model is mix-30m, whose context is 4096 tokens. Only turns that end beyond it
 * count. `--keep 1/2` folds the model first; policies then drop whole runs of latents.
 */
import { parsePolicies } from "@kvfold/policies";
import { machine, textOption } from "./paths.mjs";
import { openMix, prepareMix, readMixWindows } from "./policies/mix-model.mjs";
import { option, withKeptFolder } from "./support.mjs";

const CONTEXT = 4096;
const turns = option("turns", 20);
const turn = option("turn", 512);
const kept = option("kept", 2048);
const specs = textOption("cache", `streaming:${kept}t`).split(" ");

/** Adds tokens to a state and returns the sum of their losses, but for the first where there is nothing before it. */
async function predict(state, ids, before) {
  let nll = 0;
  let last = before;
  for (let start = 0; start < ids.length; start += 128) {
    const run = ids.slice(start, start + 128);
    const { rows, columns, data } = await state.forward(run);
    const logits = (row) => data.subarray(row * columns, (row + 1) * columns);
    for (const [index, id] of run.entries()) {
      const row = index === 0 ? last : logits(index - 1);
      if (row === undefined) continue;
      const peak = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
      nll += peak + Math.log(row.reduce((sum, value) => sum + Math.exp(value - peak), 0)) - row[id];
    }
    last = logits(rows - 1).slice();
  }
  return { nll, last };
}

/** Losses of each turn, and bytes of the cache after it. */
async function converse(lm, text, spec) {
  const policies = parsePolicies(spec);
  const state = lm.createState();
  const results = [];
  let last;
  for (let index = 0; index < turns; index++) {
    const predicted = await predict(state, text.slice(index * turn, (index + 1) * turn), last);
    ({ last } = predicted);
    state.compress(policies);
    results.push({ nll: predicted.nll, bytes: state.cacheBytes, held: Math.max(...state.heldTokens.flat()) });
  }
  state.dispose();
  return results;
}

/** The same with the last tokens read anew before each turn. */
async function readAnew(lm, text) {
  const results = [];
  for (let index = 0; index < turns; index++) {
    const start = index * turn;
    const state = lm.createState();
    const before = text.slice(Math.max(0, start - kept), start);
    const last = before.length === 0 ? undefined : (await state.prefill(before)).slice();
    const { nll } = await predict(state, text.slice(start, start + turn), last);
    results.push({ nll });
    state.dispose();
  }
  return results;
}

const perplexity = (results) => {
  const counted = results.filter((_, index) => (index + 1) * turn > CONTEXT);
  return Math.exp(counted.reduce((sum, { nll }) => sum + nll, 0) / (counted.length * turn));
};

async function measure(folder) {
  const { session, lm } = await openMix(folder, "model_policy.onnx", option("threads", 2));
  const [window] = await readMixWindows("validation-prose.u16", turns * turn, 1);
  const text = Array.from(window);
  const anew = perplexity(await readAnew(lm, text));
  console.log(`| cache, ${turns} turns of ${turn} | perplexity | ratio | MiB after turns | tokens held |`);
  console.log("| --- | ---: | ---: | ---: | ---: |");
  console.log(`| window of ${kept} read anew | ${anew.toFixed(3)} | 1.000 | | |`);
  for (const spec of specs) {
    const results = await converse(lm, text, spec);
    const own = perplexity(results);
    const full = results.slice(Math.ceil(kept / turn) + 1);
    const sizes = full.map(({ bytes }) => bytes / 2 ** 20);
    const range = [Math.min(...sizes), Math.max(...sizes)].map((size) => size.toFixed(1)).join(" to ");
    const held = Math.max(...full.map((one) => one.held));
    console.log(`| ${spec} | ${own.toFixed(3)} | ${(own / anew).toFixed(3)} | ${range} | ${held} |`);
  }
  await session.dispose();
}

console.error(machine());
await withKeptFolder(async (folder) => measure(await prepareMix(folder)));
