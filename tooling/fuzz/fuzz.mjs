/**
 * Tries mutated model files in child processes, so that aborts and hangs are seen too.
 *
 *   node tooling/fuzz/fuzz.mjs [--seed 1] [--from 0] [--count 1000] [--out DIR] [--json FILE]
 *   node tooling/fuzz/fuzz.mjs --seed 1 --case 123      tries one case again and keeps its files
 */
import { fork } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

/** A case that says nothing for this long hangs: long, since a busy machine can stop a process for a minute. What is slow is measured in CPU time. */
const HANG_MS = 300_000;
/** Cases to a process: what one leaves behind does not reach many others. */
const BATCH = 2500;
/** Memory of a whole process: Node, ONNX Runtime and the tiny models take about 250 MB. */
const MAX_PEAK_BYTES = 700e6;
const HEAP_MB = 384;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    count: { type: "string", default: "1000" },
    case: { type: "string" },
    out: { type: "string", default: fileURLToPath(new URL("out/", import.meta.url)) },
    json: { type: "string" },
  },
});
const seed = Number(values.seed);
const from = Number(values.case ?? values.from);
const end = values.case === undefined ? from + Number(values.count) : from + 1;

const script = (name) => fileURLToPath(new URL(`dist/${name}.mjs`, import.meta.url));
const scripts = ["serve-cases", "write-case"];
await build({
  entryPoints: scripts.map((name) => fileURLToPath(new URL(`src/${name}.ts`, import.meta.url))),
  outdir: fileURLToPath(new URL("dist/", import.meta.url)),
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  conditions: ["@kvfold/source"],
  external: ["onnxruntime-node"],
  logLevel: "error",
});

const started = performance.now();
const tally = {};
const faults = [];
for (let next = from; next < end; ) {
  next = await runBatch(next, Math.min(next + BATCH, end));
  save(summary(next));
}
console.log(JSON.stringify(summary(end), null, 2));
process.exitCode = faults.length > 0 ? 1 : 0;

function summary(next) {
  const seconds = Math.round((performance.now() - started) / 1000);
  return { seed, from, cases: next - from, seconds, faults: faults.length, outcomes: sorted(tally) };
}

/** A long run is saved after every batch. */
function save(figures) {
  if (values.json === undefined) return;
  writeFileSync(values.json, `${JSON.stringify({ ...figures, found: faults }, null, 2)}\n`);
}

/** Runs cases in one child until they are done or the child is; returns the case to go on with. */
function runBatch(first, last) {
  const folder = mkdtempSync(join(tmpdir(), "kvfold-fuzz-"));
  const args = [String(seed), String(first), String(last), folder];
  const child = fork(script("serve-cases"), args, {
    execArgv: [...process.execArgv, `--max-old-space-size=${HEAP_MB}`],
    env: { ...process.env, ORT_DISABLE_TELEMETRY: "1" },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr.on("data", (text) => (errors = (errors + text).slice(-2000)));
  let begun = false;
  let done = first;
  let why = "the process died";
  let watch;
  const stop = (reason) => {
    why = reason;
    child.kill("SIGKILL");
  };
  child.on("message", (message) => {
    clearTimeout(watch);
    watch = setTimeout(() => stop(`no answer in ${HANG_MS / 1000} s`), HANG_MS);
    begun = true;
    if (!("end" in message)) return;
    done = message.end + 1;
    record(message);
    if (message.peakBytes <= MAX_PEAK_BYTES) return;
    report({ index: message.end, detail: "too much memory", text: `${message.peakBytes} bytes`, ...message });
    child.kill("SIGKILL");
  });
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(watch);
      rmSync(folder, { recursive: true, force: true });
      if (!begun)
        throw new Error(`the first case could not begin (code ${code}, signal ${signal})\n${errors}`);
      if (done < last) {
        report({ index: done, detail: why, text: `code ${code}, signal ${signal}\n${errors}` });
        done++;
      }
      resolve(done);
    });
  });
}

function record({ end: index, kind, outcome, detail, text, mutation }) {
  const key = `${kind}: ${outcome === "loaded" || outcome === "ran" ? outcome : `${outcome} ${detail}`}`;
  tally[key] = (tally[key] ?? 0) + 1;
  if (outcome === "fault") report({ index, kind, detail, text, mutation });
  else if (values.case !== undefined)
    console.log(`${kind}: ${mutation}\n${outcome} ${detail}\n${text ?? ""}`);
}

/** Prints a fault with what runs it again, and keeps the files of the first ones. */
function report({ index, kind, detail, text, mutation }) {
  faults.push({ index, kind, detail, text, mutation });
  console.error(
    `FAULT --seed ${seed} --case ${index}: ${detail} [${kind ?? ""} ${mutation ?? ""}]\n${text ?? ""}\n`,
  );
  if (faults.length > 200) return;
  fork(script("write-case"), [String(seed), String(index), join(values.out, `${seed}-${index}`)], {
    stdio: "ignore",
  });
}

function sorted(counts) {
  return Object.fromEntries(Object.entries(counts).toSorted(([a], [b]) => a.localeCompare(b)));
}
