/**
 * Folds a Hugging Face checkpoint to a quarter of its cache.
 * `node examples/fold-in-node.mjs CHECKPOINT TEXT OUTPUT [WINDOWS]`
 */
import { fold } from "@kvfold/converter/node";

const [
  from = "assets/models/prose-6m",
  text = "assets/text/the-thirty-nine-steps.txt", // like that which the model will read
  to = "folded", // appears complete or not at all
  windows = "16",
] = process.argv.slice(2);
const size = { windowCount: Number(windows), windowLength: 512 };
const { plan } = await fold({ from, to, keep: "1/4", text, ...size, existing: "replace" });
const { before, after } = plan.cacheBytesPerToken;
console.log(`${to}: ${after} bytes of cache per token instead of ${before}`);
