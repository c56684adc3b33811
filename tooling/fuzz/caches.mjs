/**
 * Tries random sequences of prompts, steps, policies, cuts, files, copies and failing runs against a slow cache of the same.
 *
 *   node tooling/fuzz/caches.mjs [--seed 1] [--from 0] [--count 1000]
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    count: { type: "string", default: "1000" },
  },
});
const [seed, from, count] = [values.seed, values.from, values.count].map(Number);

const outfile = fileURLToPath(new URL("dist/try-sequence.mjs", import.meta.url));
await build({
  entryPoints: [fileURLToPath(new URL("src/caches/try-sequence.ts", import.meta.url))],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  conditions: ["@kvfold/source"],
  logLevel: "error",
});
const { trySequence } = await import(outfile);

const started = performance.now();
const tally = {};
const faults = [];
for (let index = from; index < from + count; index++) {
  try {
    for (const act of await trySequence(seed, index)) tally[act] = (tally[act] ?? 0) + 1;
  } catch (error) {
    faults.push(String(error));
    console.error(`FAULT ${String(error)}`);
  }
  if ((index + 1) % 10_000 === 0) console.error(`${index + 1 - from} of ${count}`);
}
const seconds = Math.round((performance.now() - started) / 1000);
console.log(JSON.stringify({ seed, from, sequences: count, seconds, faults: faults.length, tally }, null, 2));
process.exitCode = faults.length > 0 ? 1 : 0;
