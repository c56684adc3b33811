/**
 * The ridge solve of healing, alone: `n` inputs, `n` times `--outputs-share` outputs, its products made by ONNX Runtime.
 * Each solve runs in a process of its own, so that the peak of memory is its own, and says how far its solution is from
 * solving the equation. A machine that does other work delays several threads more than one.
 *
 * `node bench/ridge-solve.mjs [--sizes 2048,4096] [--outputs-share 0.19] [--threads 1,2] [--against FILE]`
 *
 * `--against` names the `dist/index.js` of another build of `@kvfold/linalg`, which is timed in turn with this one.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { renderTable } from "kvfold/jobs";
import { machine, textOption } from "./paths.mjs";
import { solveOnce } from "./ridge-solve/solve-once.mjs";

const list = (name, fallback) => textOption(name, fallback).split(",");

/** One solve in a process of its own. */
function measure(given) {
  const script = fileURLToPath(import.meta.url);
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "--task", JSON.stringify(given)]);
  if (status !== 0) throw new Error(`a solve of ${given.size} inputs failed: ${String(stderr)}`);
  return { ...given, ...JSON.parse(stdout) };
}

function compare() {
  const against = textOption("against");
  const builds = [...(against === undefined ? [] : [["before", against]]), ["now", "@kvfold/linalg"]];
  const rows = [];
  for (const size of list("sizes", "2048,4096").map(Number))
    for (const threads of list("threads", "1,2").map(Number))
      for (const [name, build] of builds) {
        const outputs = Math.round(size * Number(textOption("outputs-share", "0.19")));
        rows.push({ name, ...measure({ size, outputs, threads, build }) });
        process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
      }
  process.stdout.write(`${machine()}\n${renderTable(rows, columns)}\n`);
}

const number = (heading, key, digits) => ({
  heading,
  align: "right",
  cell: (row) => row[key].toFixed(digits),
});

const columns = [
  number("inputs", "size", 0),
  number("outputs", "outputs", 0),
  number("threads", "threads", 0),
  { heading: "build", cell: ({ name }) => name },
  number("seconds", "seconds", 1),
  number("of it products", "productSeconds", 1),
  number("CPU seconds", "cpuSeconds", 1),
  number("system GiB", "systemGibibytes", 2),
  number("peak GiB", "peakGibibytes", 2),
  { heading: "off by", cell: ({ residual }) => residual.toExponential(0) },
];

const task = textOption("task");

if (task === undefined) compare();
else process.stdout.write(JSON.stringify(await solveOnce(JSON.parse(task))));
