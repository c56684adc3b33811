import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import { delimiter } from "node:path";
import { root } from "./root.mjs";

/** Longer than npm takes to pass on a signal that it got too, shorter than a person takes to press Ctrl-C again. */
const REPEAT_WINDOW_MS = 500;

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();
/** @type {Set<string>} Folders whose programs children find before those of the caller's `PATH`. */
const programFolders = new Set([`${root}/node_modules/.bin`]);

/** @type {number | undefined} */
let stopped;

/** Once this process was told to stop, the exit code that says so: no further step should start. */
export const stopCode = () => stopped;

/** Makes the programs of a folder known to every later child. @param {string} folder */
export const addProgramFolder = (folder) => programFolders.add(folder);

/**
 * Keeps this process alive until its child has ended, and lets each signal reach that child once.
 *
 * A terminal sends Ctrl-C to its whole foreground group, child included, so there nothing is to be forwarded.
 * Without a terminal the signal comes to this process alone; npm, which got it too, sends it a second time.
 */
export function guardSignals() {
  const terminalInterrupts = hasTerminal();
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
    let forwardedAt = Number.NEGATIVE_INFINITY;
    process.on(signal, () => {
      stopped = signalCode(signal);
      if (signal === "SIGINT" && terminalInterrupts) return;
      if (performance.now() - forwardedAt < REPEAT_WINDOW_MS) return;
      forwardedAt = performance.now();
      for (const child of running) child.kill(signal);
    });
  }
}

/**
 * Runs a program to its end with this process's streams and gives its exit code, `128 + n` after signal `n`.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string> }} [options]
 * @returns {Promise<number>}
 */
export const runProgram = (program, args, { cwd = root, env = {} } = {}) =>
  untilExit(start(program, args, { cwd, env, stdio: "inherit" }));

/**
 * Runs a program to its end with no input and keeps what it prints.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ env?: Record<string, string>, timeoutMs?: number }} [options]
 * @returns {Promise<{ code: number, stdout: string, output: string }>} `output` is both streams as they came
 */
export async function captureProgram(program, args, { env = {}, timeoutMs } = {}) {
  const child = start(program, args, {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: timeoutMs,
  });
  let stdout = "";
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    stdout += text;
    output += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  return { code: await untilExit(child), stdout, output };
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {import("node:child_process").SpawnOptions & { env: Record<string, string> }} options
 */
function start(program, args, options) {
  // On Windows npm's programs are command files, which only a shell can start.
  const shell = process.platform === "win32" && program !== process.execPath;
  const path = [...programFolders, process.env.PATH].join(delimiter);
  return spawn(program, args, { ...options, env: { ...process.env, PATH: path, ...options.env }, shell });
}

/** @param {import("node:child_process").ChildProcess} child @returns {Promise<number>} */
function untilExit(child) {
  running.add(child);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signalCode(signal ?? "SIGKILL")));
  }).finally(() => running.delete(child));
}

/** @param {NodeJS.Signals} signal */
const signalCode = (signal) => 128 + constants.signals[signal];

function hasTerminal() {
  if (process.platform === "win32") return true;
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
