/**
 * `kvfold serve` under load: clients ask without pause, some as streams, some of which they leave in the middle. Fails at any
 * status but 200, at a cache that is not given back, and at memory that grows: that of the process, what is left of JavaScript's
 * after a collection, or the cache.
 * `node bench/serve.mjs [--clients 64] [--minutes 10] [--tokens 32] [--cancelled 0.2] [--seed 1] [--folder MODEL] [--growth 0.2]`
 *
 * `--folder` serves another model than the embedded one folded to a half. `--growth` is the share by which memory may be larger in
 * the last quarter of the time than in the second.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { createRandom } from "@kvfold/runtime";
import { mebibytes, residentBytesOf } from "./own-memory.mjs";
import { machine, modelFolder, repositoryPath, textOption } from "./paths.mjs";
import { fold, median, option, withTemporaryFolder } from "./support.mjs";

const clients = option("clients", 64);
const minutes = option("minutes", 10);
const tokens = option("tokens", 32);
const cancelled = option("cancelled", 0.2);
const growth = option("growth", 0.2);
const seed = option("seed", 1);
const main = repositoryPath("apps/cli/dist/main.js");

const PROMPTS = [
  "Once upon a time",
  "The captain looked at the sky, and",
  "It was",
  "She said that the old house",
];
const counts = { requests: 0, streams: 0, left: 0, tokens: 0 };
const failures = [];
const times = [];

/** Starts a server and returns its process and address. */
async function startServer(folder) {
  const telling = ["--expose-gc", "--import", new URL("serve/tell-memory.mjs", import.meta.url).href];
  const args = [...telling, main, "serve", folder, "--port", "0", "--quiet"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  const [address] = await once(child.stdout.setEncoding("utf8"), "data");
  return { child, url: address.trim() };
}

async function ask(url, random) {
  const stream = random() < 0.5;
  const leaves = stream && random() < 2 * cancelled;
  const leaving = new AbortController();
  const started = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      prompt: PROMPTS[Math.floor(random() * PROMPTS.length)].repeat(1 + Math.floor(random() * 4)),
      max_tokens: 1 + Math.floor(random() * 2 * tokens),
      seed: Math.floor(random() * 1e6),
      stream,
    }),
    signal: leaving.signal,
  });
  counts.requests++;
  if (response.status !== 200) return failures.push(`${response.status} ${await response.text()}`);
  if (leaves) {
    await response.body.getReader().read();
    counts.left++;
    return leaving.abort();
  }
  const text = await response.text();
  if (stream) counts.streams++;
  else counts.tokens += JSON.parse(text).usage.completion_tokens;
  if (stream && !text.endsWith("data: [DONE]\n\n")) failures.push(`a stream ended with ${text.slice(-200)}`);
  times.push(performance.now() - started);
}

async function client(url, index, until) {
  const random = createRandom(seed * 1000 + index);
  while (performance.now() < until) await ask(url, random).catch((error) => failures.push(String(error)));
}

/** What the server holds, in bytes; a collection stops it for a moment. */
async function memoryOf({ child, url }) {
  child.send("tell");
  const [left] = await once(child, "message");
  const { cacheBytes } = await healthOf(url);
  return { resident: residentBytesOf(child.pid), "after a collection": left, cache: cacheBytes };
}

async function sample(server, until) {
  const samples = [];
  while (performance.now() < until) {
    await wait(Math.min(1000, (minutes * 60_000) / 40));
    samples.push(await memoryOf(server));
  }
  return samples;
}

const healthOf = async (url) => (await fetch(`${url}/health`)).json();

async function untilIdle(url) {
  for (let tries = 0; tries < 300; tries++) {
    const { active, waiting, cacheBytes } = await healthOf(url);
    if (active === 0 && waiting === 0) return cacheBytes;
    await wait(200);
  }
  throw new Error("requests that nobody waits for are still being answered");
}

function quarter(values, index) {
  const size = Math.floor(values.length / 4);
  return median(values.slice(index * size, (index + 1) * size));
}

await withTemporaryFolder(async (root) => {
  let folder = textOption("folder");
  if (folder === undefined) {
    folder = join(root, "half");
    await fold(modelFolder("prose-6m"), folder, { keep: "1/2", method: "svd-w" });
  }
  const server = await startServer(folder);
  const { child, url } = server;
  try {
    const until = performance.now() + minutes * 60_000;
    const work = Array.from({ length: clients }, (_, index) => client(url, index, until));
    const samples = await sample(server, until);
    await Promise.all(work);
    const cacheBytes = await untilIdle(url);
    const grown = [];
    const sorted = times.toSorted((a, b) => a - b);
    console.log(`${machine()}; ${clients} clients, ${minutes} minutes`);
    console.log(
      `requests ${counts.requests}, of these streams ${counts.streams}, left in the middle ${counts.left}`,
    );
    console.log(
      `answered within ${Math.round(median(times))} ms (median), ${Math.round(sorted[Math.floor(0.99 * sorted.length)])} ms (99 %)`,
    );
    for (const name of Object.keys(samples[0])) {
      const values = samples.map((sample) => sample[name]);
      const quarters = [0, 1, 2, 3].map((index) => quarter(values, index));
      console.log(`memory, ${name}: ${quarters.map(mebibytes).join(", ")} MiB by quarters (medians)`);
      if (quarters[3] > quarters[1] * (1 + growth)) grown.push(name);
    }
    console.log(`cache when idle ${cacheBytes} bytes`);
    if (grown.length > 0) console.log(`grows: ${grown.join(", ")}`);
    if (failures.length > 0) console.log(`${failures.length} failures, the first: ${failures[0]}`);
    if (failures.length > 0 || cacheBytes > 0 || grown.length > 0) process.exitCode = 1;
  } finally {
    child.kill("SIGINT");
    await once(child, "close");
  }
});
