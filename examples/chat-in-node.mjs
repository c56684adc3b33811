/**
 * A chat with a folded folder in transformers.js, by the model's own chat template; the answer is printed as it comes.
 * `node examples/chat-in-node.mjs MODEL [MESSAGE] [TOKENS]`
 */
import { resolve } from "node:path";
import { env, pipeline, TextStreamer } from "@huggingface/transformers";

const [folder = "folded", message = "What is a KV cache?", count = "128"] = process.argv.slice(2);

env.allowRemoteModels = false; // the folder is all there is
const chat = await pipeline("text-generation", resolve(folder), { dtype: "fp32" });
const streamer = new TextStreamer(chat.tokenizer, {
  skip_prompt: true,
  skip_special_tokens: true,
  callback_function: (text) => process.stdout.write(text),
});
const messages = [{ role: "user", content: message }]; // append the answer and the next message to go on
await chat(messages, { max_new_tokens: Number(count), do_sample: false, streamer });
process.stdout.write("\n");
await chat.dispose();
