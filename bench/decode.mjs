/**
 * Decode speed of prose-27m folded to 1/4 with a long cache, as ratios: folded (`latent`, and `latent-pre-rope`, which
 * expands its keys) against unfolded in kvfold's runtime, and kvfold's runtime against transformers.js on the same files.
 * Interleaved; medians of ratios.
 * `node bench/decode.mjs [--context 4096] [--tokens 32] [--repeats 7]`
 */
import { join } from "node:path";
import { AutoModelForCausalLM, env, Tensor } from "@huggingface/transformers";
import { createCausalLM } from "@kvfold/runtime";
import { machine, modelFolder } from "./paths.mjs";
import { calibrationWindows, fold, median, option, provider, withTemporaryFolder } from "./support.mjs";

const context = option("context", 4096);
const tokens = option("tokens", 32);
const model = modelFolder("prose-27m");
const prompt = (await calibrationWindows(Math.ceil((context + 1) / 1024)))
  .flatMap((window) => [...window])
  .slice(0, context);

async function openKvfold(folder) {
  const session = await provider.createSession({ path: join(folder, "onnx", "model.onnx") });
  const lm = createCausalLM(session, { initialCapacity: context + 1024 });
  const state = lm.createState();
  await state.prefill(prompt);
  return { decode: (id) => state.decode(id) };
}

/** transformers.js's forward with its cache, without its sampling: one step of the model alone. */
async function openTransformersJs(folder) {
  env.allowRemoteModels = false;
  const lm = await AutoModelForCausalLM.from_pretrained(folder, { dtype: "fp32", device: "cpu" });
  let length = 0;
  let cache = null;
  const step = async (ids) => {
    length += ids.length;
    const int64 = (values) => new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
    const { logits, ...rest } = await lm({
      input_ids: int64(ids),
      attention_mask: int64(Array.from({ length }, () => 1)),
      past_key_values: cache,
    });
    cache = Object.fromEntries(
      Object.entries(rest).map(([name, value]) => [name.replace("present", "past_key_values"), value]),
    );
    return logits;
  };
  await step(prompt);
  return { decode: (id) => step([id]) };
}

async function measure(runner) {
  const start = performance.now();
  for (let i = 0; i < tokens; i++) await runner.decode(17 + i);
  return (1000 * tokens) / (performance.now() - start);
}

await withTemporaryFolder(async (folder) => {
  const windows = await calibrationWindows(8);
  const maxPositions = context + 1024;
  const [whole, folded, expanding] = ["whole", "folded", "expanding"].map((name) => join(folder, name));
  await fold(model, whole, { keep: "1", maxPositions });
  await fold(model, folded, { keep: "1/4", method: "latent", heal: "none", maxPositions }, { windows });
  const unrotated = { keep: "1/4", method: "latent-pre-rope", heal: "none", maxPositions };
  await fold(model, expanding, unrotated, { windows });
  const runners = {
    whole: await openKvfold(whole),
    folded: await openKvfold(folded),
    expanding: await openKvfold(expanding),
    "whole, transformers.js": await openTransformersJs(whole),
    "folded, transformers.js": await openTransformersJs(folded),
  };
  for (const runner of Object.values(runners)) await measure(runner);
  const speeds = Object.fromEntries(Object.keys(runners).map((name) => [name, []]));
  for (let repeat = 0; repeat < option("repeats", 7); repeat++) {
    for (const [name, runner] of Object.entries(runners)) speeds[name].push(await measure(runner));
  }
  const ratio = (a, b) => median(speeds[a].map((speed, i) => speed / speeds[b][i])).toFixed(2);
  console.log(`prose-27m, ${context} cached tokens, ${tokens} decoded; ${machine()}`);
  console.log(`folded to 1/4 against whole: ${ratio("folded", "whole")} x the tokens/s`);
  console.log(`the same by latent-pre-rope: ${ratio("expanding", "whole")} x`);
  console.log(`kvfold against transformers.js, whole: ${ratio("whole", "whole, transformers.js")} x`);
  console.log(`kvfold against transformers.js, folded: ${ratio("folded", "folded, transformers.js")} x`);
});
