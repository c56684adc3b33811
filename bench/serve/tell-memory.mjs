/**
 * Loaded into a server (`node --expose-gc --import`), and by that into its threads: when the process that started it asks, all of
 * them collect garbage, and their sum of what is left is the answer.
 */
import { isMainThread } from "node:worker_threads";

const channel = new BroadcastChannel("kvfold bench memory");
channel.unref();

function leftBytes() {
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

if (isMainThread) {
  let sum;
  process.on("message", () => {
    sum = leftBytes();
    channel.postMessage("collect");
  });
  // The one thread that the server works in.
  channel.onmessage = ({ data }) => process.send(sum + data);
  process.channel.unref();
} else channel.onmessage = () => channel.postMessage(leftBytes());
