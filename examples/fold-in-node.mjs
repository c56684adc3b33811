/**
 * Folds a Hugging Face checkpoint to a quarter of its cache, with the libraries alone.
 * `node examples/fold-in-node.mjs CHECKPOINT TEXT OUTPUT [WINDOWS]`
 */
import { readFile } from "node:fs/promises";
import { Tokenizer } from "@huggingface/tokenizers";
import { tokenizeDocument, tokenWindows } from "@kvfold/calibration";
import { planFold } from "@kvfold/converter";
import { createPendingFolder, workerBlockMath, writeModel } from "@kvfold/converter/node";
import { openCheckpoint } from "@kvfold/decoder";
import { directorySource } from "@kvfold/decoder/node";
import { nodeProvider } from "@kvfold/runtime-node";

const [
  from = "assets/models/prose-6m",
  text = "assets/text/the-thirty-nine-steps.txt",
  to = "folded",
  count = "16",
] = process.argv.slice(2);

// Text like that which the model will read, cut into windows.
const readJson = async (file) => JSON.parse(await readFile(`${from}/${file}`, "utf8"));
const tokenizer = new Tokenizer(await readJson("tokenizer.json"), await readJson("tokenizer_config.json"));
const encode = (paragraph) => tokenizer.encode(paragraph, { add_special_tokens: false }).ids;
const { bos_token_id: bosToken } = await readJson("config.json");
const tokens = [...tokenizeDocument(await readFile(text, "utf8"), { encode }, bosToken)].flat();
const windows = tokenWindows(Int32Array.from(tokens), { length: 512, count: Number(count), source: text });

const checkpoint = await openCheckpoint(await directorySource(from));
const plan = planFold(checkpoint.config, { keep: "1/4" });
const folder = await createPendingFolder(to, { existing: "replace" }); // appears complete or not at all
const math = workerBlockMath(); // linear algebra in a thread of its own
try {
  const provider = nodeProvider();
  await writeModel({
    checkpoint,
    plan,
    provider,
    windows,
    math,
    from,
    to: folder.path,
    record: () => ({ text }),
  });
  await folder.commit();
  const { before, after } = plan.cacheBytesPerToken;
  console.log(`${to}: ${after} bytes of cache per token instead of ${before}`);
} catch (error) {
  await folder.discard();
  throw error;
} finally {
  await math.dispose();
  await checkpoint.close();
}
