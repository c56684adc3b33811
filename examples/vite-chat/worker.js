/** The worker: transformers.js with the folded folder, which is served as it is under `model/`. Nothing comes from elsewhere. */
import { env, pipeline, TextStreamer } from "@huggingface/transformers";

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = import.meta.env.BASE_URL;
env.backends.onnx.wasm.wasmPaths = `${location.origin}${import.meta.env.BASE_URL}ort/`;

const report = (what) => self.postMessage(what);
const loading = pipeline("text-generation", "model", { device: "wasm", dtype: "fp32" });
loading.then(
  () => report({ ready: true, status: "Ready." }),
  (error) => report({ status: `The model cannot be loaded: ${error.message}` }),
);

self.addEventListener("message", ({ data: messages }) => void answer(messages));

async function answer(messages) {
  const chat = await loading;
  const streamer = new TextStreamer(chat.tokenizer, {
    skip_prompt: true,
    skip_special_tokens: true,
    callback_function: (text) => report({ text }),
  });
  try {
    await chat(messages, { max_new_tokens: 128, do_sample: false, streamer });
    report({ done: true, status: "Ready." });
  } catch (error) {
    report({ done: true, status: error.message });
  }
}
