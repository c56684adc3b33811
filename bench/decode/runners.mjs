/** Runtimes that read a prompt and then decode a token at a time, all alike to who measures them. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AutoModelForCausalLM, Tensor } from "@huggingface/transformers";
import { createCausalLM } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";

/** Tokens of a prompt that are run at a time. */
const CHUNK = 512;

const since = (start) => performance.now() - start;

export async function openKvfold({ folder, prompt, maxPositions, threads }) {
  const start = performance.now();
  const delta = join(folder, "onnx", "model_delta.onnx");
  const path = existsSync(delta) ? delta : join(folder, "onnx", "model.onnx");
  const session = await nodeProvider().createSession({ path }, { threads });
  const state = createCausalLM(session, { maxPositions, prefillChunk: CHUNK }).createState();
  const opening = since(start);
  await state.prefill(prompt);
  return { opening, decode: (id) => state.decode(id), close: () => session.dispose() };
}

/** transformers.js's forward with its cache, without its sampling: one step of the model alone. */
export async function openTransformersJs({ folder, prompt, threads }) {
  const start = performance.now();
  const options = { dtype: "fp32", device: "cpu", session_options: { intraOpNumThreads: threads } };
  const lm = await AutoModelForCausalLM.from_pretrained(folder, options);
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
  const opening = since(start);
  for (let first = 0; first < prompt.length; first += CHUNK) await step(prompt.slice(first, first + CHUNK));
  return { opening, decode: (id) => step([id]), close: () => lm.dispose() };
}

/** llama.cpp without flash attention, which is slower on these processors; it decodes greedily, whatever it is given. */
export async function openLlamaCpp({ folder, prompt, maxPositions, threads, type }) {
  const { getLlama, LlamaLogLevel } = await import("node-llama-cpp");
  const start = performance.now();
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.error,
    maxThreads: threads,
  });
  const model = await llama.loadModel({ modelPath: join(folder, "model-f32.gguf"), gpuLayers: 0 });
  const context = await model.createContext({
    contextSize: maxPositions,
    batchSize: CHUNK,
    threads,
    flashAttention: false,
    experimentalKvCacheKeyType: type,
    experimentalKvCacheValueType: type,
  });
  const sequence = context.getSequence();
  const opening = since(start);
  const generated = sequence.evaluate([...prompt], { temperature: 0, yieldEogToken: true });
  await generated.next();
  return { opening, decode: () => generated.next(), close: () => llama.dispose() };
}
