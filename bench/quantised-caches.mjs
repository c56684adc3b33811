/**
 * What caches of 8 and 4 bits cost: perplexity as a ratio to the same model with a float32 cache, on validation text, and
 * bytes of cache.
 * With `--contexts`, decode speed as a ratio to the float32 delta graph instead, all in turn.
 * `node bench/quantised-caches.mjs [--models FOLDER] [--model prose-6m] [--windows 16] [--calibration 16]
 *   [--keeps 1,1/2,1/4] [--method anchored] [--folder FOLDER] [--contexts 1024,4096] [--repeats 9] [--threads 2]
 *   [--texts FOLDER]`
 * With `--texts`, texts are `calibration-1k.u16` and `validation-prose.u16` of that folder, for mix-30m.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseTokenBytes, tokenWindows } from "@kvfold/calibration";
import { cacheBytesPerToken, createCausalLM, perplexity } from "@kvfold/runtime";
import { assetPath, machine, modelFolder, option, textFile, textOption } from "./paths.mjs";
import { fold, median, provider, withKeptFolder } from "./support.mjs";

const name = textOption("model", "prose-6m");
const method = textOption("method", "anchored");
const keeps = textOption("keeps", "1,1/2,1/4").split(",");
const contexts = textOption("contexts")?.split(",").map(Number);
const threads = option("threads", 2);
const repeats = option("repeats", 9);
const TOKENS = 8;
const maxPositions = Math.max(1024, ...(contexts ?? [])) + (repeats + 2) * TOKENS + 8;

const texts =
  textOption("texts") === undefined
    ? { calibration: assetPath("text/calibration.u16"), validation: assetPath("text/validation.u16") }
    : { calibration: textFile("calibration-1k.u16"), validation: textFile("validation-prose.u16") };

async function readWindows(path, length, count) {
  const { vocab_size } = JSON.parse(await readFile(join(modelFolder(name), "config.json"), "utf8"));
  const tokens = parseTokenBytes(await readFile(path), vocab_size, path);
  return tokenWindows(tokens, { length, count, source: path });
}

async function writeFold(folder, keep) {
  const to = join(folder, `${name}-${method}-${keep.replace("/", "-")}`);
  if (existsSync(to)) return to;
  const windows = keep === "1" ? [] : await readWindows(texts.calibration, 1024, option("calibration", 16));
  const shared = { keep, maxPositions, cacheBits: [8, 4] };
  const options = keep === "1" ? shared : { ...shared, method };
  await fold(modelFolder(name), to, options, keep === "1" ? {} : { windows });
  return to;
}

const load = (model, file) => provider.createSession({ path: join(model, "onnx", file) }, { threads });

async function measure(model, file, windows) {
  const session = await load(model, file);
  const lm = createCausalLM(session, { maxPositions });
  const result = await perplexity(lm, windows);
  await session.dispose();
  return { perplexity: result.perplexity, bytes: cacheBytesPerToken(lm.cacheLayout) };
}

async function quality(folder) {
  const windows = await readWindows(texts.validation, 1025, option("windows", 16));
  console.log("| kept | cache | bytes a token | perplexity | ratio |\n| --- | --- | --- | --- | --- |");
  for (const keep of keeps) {
    const model = await writeFold(folder, keep);
    const rows = [
      ["float32", "model_delta.onnx"],
      ["int8", "model_policy_int8.onnx"],
      ["int4", "model_policy_int4.onnx"],
    ];
    let reference;
    for (const [label, file] of rows) {
      const found = await measure(model, file, windows);
      reference ??= found;
      const ratio = (found.perplexity / reference.perplexity).toFixed(5);
      console.log(`| ${keep} | ${label} | ${found.bytes} | ${found.perplexity.toFixed(4)} | ${ratio} |`);
    }
  }
}

async function speed(folder, context) {
  const windows = await readWindows(texts.calibration, 1024, Math.ceil(context / 1024));
  const prompt = windows.flatMap((window) => [...window]).slice(0, context);
  const cells = [];
  for (const keep of keeps) {
    const model = await writeFold(folder, keep);
    for (const [label, file] of [
      ["float32", "model_delta.onnx"],
      ["float32, policy graph", "model_policy.onnx"],
      ["int8", "model_policy_int8.onnx"],
      ["int4", "model_policy_int4.onnx"],
    ]) {
      const session = await load(model, file);
      const state = createCausalLM(session, { maxPositions }).createState();
      const start = performance.now();
      await state.prefill(prompt);
      const prefill = performance.now() - start;
      cells.push({ keep, label, state, session, prefill, times: [] });
    }
  }
  for (let round = -1; round < repeats; round++)
    for (const { state, times } of cells) {
      const start = performance.now();
      for (let index = 0; index < TOKENS; index++) await state.decode(17 + index);
      if (round >= 0) times.push((performance.now() - start) / TOKENS);
    }
  console.log(`\n${name}, ${method}, ${context} cached tokens, ${threads} threads, ${repeats} rounds\n`);
  for (const { keep, label, times, prefill, state } of cells) {
    const { times: own, prefill: whole } = cells.find((cell) => cell.keep === keep);
    const ratio = median(times.map((time, round) => own[round] / time));
    console.log(
      `| ${keep} | ${label} | ${median(times).toFixed(2)} ms | ${ratio.toFixed(2)} | prefill ${(whole / prefill).toFixed(2)} | ${state.cacheBytes} |`,
    );
  }
  for (const { session } of cells) await session.dispose();
}

const run = async (folder) => {
  console.log(machine());
  if (contexts === undefined) return quality(folder);
  for (const context of contexts) await speed(folder, context);
};
await withKeptFolder(run);
process.exit(0);
