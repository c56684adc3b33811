/**
 * The same in a page: a folded folder, served as it is under `/model/`, and ONNX Runtime's WebAssembly under `/ort/`.
 * Any bundler will do; `npx vite examples/stream-in-page`.
 */
import { Tokenizer } from "@huggingface/tokenizers";
import { createCausalLM, createTextStream, generate } from "@kvfold/runtime";
import { readModelSource, webProvider } from "@kvfold/runtime-web";
import * as ort from "onnxruntime-web/wasm";

const prompt = new URLSearchParams(location.search).get("prompt") ?? "It was a dark and stormy night";
const place = document.querySelector("#text");

const readJson = async (file) => (await fetch(`/model/${file}`)).json();
const config = await readJson("config.json");
const tokenizer = new Tokenizer(await readJson("tokenizer.json"), await readJson("tokenizer_config.json"));
const ids = tokenizer.encode(prompt, { add_special_tokens: false }).ids;

const source = await readModelSource({ url: "/model/onnx/model.onnx" }); // kept for the next visit
const session = await webProvider(ort, { wasmPaths: "/ort/" }).createSession(source);
const model = createCausalLM(session, { maxPositions: config.max_position_embeddings });
const text = createTextStream((tokens) => tokenizer.decode([...tokens]), { after: ids });

place.textContent = prompt;
const options = { maxNewTokens: 48, stopTokens: [config.eos_token_id] };
for await (const token of generate(model, ids, options)) place.append(text.push(token));
place.append(text.flush());
place.dataset.done = "yes";
await session.dispose();
