/**
 * Continues a prompt with transformers.js 3, in a process of its own: its ONNX Runtime and ours do not fit into one.
 * `node continue-with-transformers-v3.mjs FOLDER TOKENS ID,ID,…` prints all token ids as JSON.
 */
import { AutoModelForCausalLM, env, Tensor } from "transformers-v3";

const [folder, count, prompt] = process.argv.slice(2);
env.allowRemoteModels = false;
const ids = BigInt64Array.from(prompt.split(","), BigInt);
const model = await AutoModelForCausalLM.from_pretrained(folder, { dtype: "fp32" });
const inputs = {
  input_ids: new Tensor("int64", ids, [1, ids.length]),
  attention_mask: new Tensor(
    "int64",
    ids.map(() => 1n),
    [1, ids.length],
  ),
};
const output = await model.generate({ ...inputs, max_new_tokens: Number(count), do_sample: false });
process.stdout.write(JSON.stringify(Array.from(output.data, Number)));
await model.dispose();
