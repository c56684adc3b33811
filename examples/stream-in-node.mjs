/**
 * Lets a folded model (or any decoder that ONNX Runtime runs) go on with a prompt, a token at a time.
 * `node examples/stream-in-node.mjs MODEL [PROMPT] [TOKENS]`
 */
import { readFile } from "node:fs/promises";
import { Tokenizer } from "@huggingface/tokenizers";
import { createCausalLM, createTextStream, generate } from "@kvfold/runtime";
import { nodeProvider } from "@kvfold/runtime-node";

const [folder = "folded", prompt = "It was a dark and stormy night", count = "48"] = process.argv.slice(2);

const readJson = async (file) => JSON.parse(await readFile(`${folder}/${file}`, "utf8"));
const config = await readJson("config.json");
const tokenizer = new Tokenizer(await readJson("tokenizer.json"), await readJson("tokenizer_config.json"));
const ids = tokenizer.encode(prompt, { add_special_tokens: false }).ids;

const session = await nodeProvider().createSession({ path: `${folder}/onnx/model.onnx` });
const model = createCausalLM(session, { maxPositions: config.max_position_embeddings });
const text = createTextStream((tokens) => tokenizer.decode([...tokens]), { after: ids });

process.stdout.write(prompt);
const options = { maxNewTokens: Number(count), stopTokens: [config.eos_token_id] };
for await (const token of generate(model, ids, options)) process.stdout.write(text.push(token));
process.stdout.write(`${text.flush()}\n`);
await session.dispose();
