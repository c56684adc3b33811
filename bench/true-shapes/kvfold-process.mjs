import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { repositoryPath } from "../paths.mjs";

/** Runs the command line; resolves with what it printed, its seconds and the most memory that it held. */
export async function kvfold(...args) {
  const started = performance.now();
  const child = spawn(process.execPath, [repositoryPath("apps/cli/dist/main.js"), ...args]);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"])
    child[name].setEncoding("utf8").on("data", (text) => {
      output[name] += text;
    });
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, highWaterMark(child.pid));
  }, 100);
  const [code, signal] = await new Promise((resolve) => {
    child.on("close", (...ended) => resolve(ended));
  });
  clearInterval(watch);
  return { code: code ?? signal, ...output, seconds: (performance.now() - started) / 1000, peak };
}

/** Bytes that a process has held at most so far; 0 when it is gone, or where there is no `/proc`. */
function highWaterMark(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
