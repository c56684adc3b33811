/**
 * Runs a folded folder with transformers.js: nothing of kvfold is needed at run time.
 * `node examples/transformers-pipeline.mjs MODEL [PROMPT] [TOKENS]`
 */
import { resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

const [folder = "folded", prompt = "It was a dark and stormy night", count = "48"] = process.argv.slice(2);

env.allowRemoteModels = false; // the folder is all there is
const write = await pipeline("text-generation", resolve(folder), { dtype: "fp32" });
const [{ generated_text: text }] = await write(prompt, { max_new_tokens: Number(count), do_sample: false });
console.log(text);
await write.dispose();
