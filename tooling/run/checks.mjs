import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram, stopCode } from "./child.mjs";
import { ensureChromium } from "./chromium.mjs";
import { addCounts, countOne, countVitest, formatCounts } from "./counts.mjs";
import { buildFolder, prepareWorkspace, turboTask } from "./workspace.mjs";

/**
 * @typedef {import("./counts.mjs").Counts} Counts
 * @typedef {{ name: string, needs?: string, run: () => Promise<Counts> }} Check
 * @typedef {{ program: string, args: string[], env?: Record<string, string> }} Command
 */

const CHECK_PACKAGES = "tooling/repo/check-packages.mjs";

/** Cheap ones first. @type {readonly Check[]} */
const checks = [
  programCheck("format", { program: "biome", args: ["check", "."] }),
  programCheck("lint", { program: "oxlint", args: ["--type-aware", "--deny-warnings"] }),
  programCheck("types", turboTask("typecheck")),
  programCheck("build", turboTask("build")),
  { ...programCheck("packages", { program: process.execPath, args: [CHECK_PACKAGES] }), needs: "build" },
  programCheck("unused code", { program: "knip", args: [] }),
  { name: "tests", run: () => runVitest() },
];

/** Part of the name of every file of tests that run in a browser. */
const BROWSER_TESTS = ".browser.test.ts";

/**
 * Runs every check of the repository, says how long each took, and ends with the line `N passed, N failed`.
 *
 * @returns {Promise<number>} the exit code: 1 when anything failed, `128 + n` when signal `n` stopped it
 */
export async function runChecks() {
  if (!(await prepareWorkspace())) return stopCode() ?? conclude([countOne("failed")]);
  /** @type {Map<string, Counts>} */
  const results = new Map();
  const timings = [];
  for (const check of checks) {
    if ((results.get(check.needs ?? "")?.failed ?? 0) > 0) {
      results.set(check.name, countOne("skipped"));
      timings.push(`${check.name}: skipped, since ${check.needs} failed`);
      continue;
    }
    print(`\n▸ ${check.name}`);
    const startedAt = performance.now();
    const counts = await check.run();
    const stopped = stopCode();
    if (stopped !== undefined) return announceStop(check.name, stopped);
    results.set(check.name, counts);
    timings.push(`${check.name}: ${formatCounts(counts)} (${seconds(startedAt)})`);
  }
  print(`\n${timings.join("\n")}\n`);
  return conclude([...results.values()]);
}

/**
 * Runs the tests in browsers alone, those that `npm test` skips for being slow among them. They load the web app as it is
 * published and fold with the command line, so both are built first.
 *
 * @returns {Promise<number>} the exit code, as that of `runChecks`
 */
export async function runBrowserTests() {
  const ready =
    (await prepareWorkspace()) && (await buildFolder("apps/web")) && (await buildFolder("apps/cli"));
  if (!ready || stopCode() !== undefined) return stopCode() ?? conclude([countOne("failed")]);
  const counts = await runVitest([BROWSER_TESTS], { KVFOLD_SLOW_TESTS: "1" });
  return stopCode() ?? conclude([counts]);
}

/** @param {string} name @param {Command} command @returns {Check} */
function programCheck(name, { program, args, env = {} }) {
  const run = async () => countOne((await runProgram(program, args, { env })) === 0 ? "passed" : "failed");
  return { name, run };
}

/**
 * @param {string[]} filters parts of the names of the files to run; all of them by default
 * @param {Record<string, string>} env
 * @returns {Promise<Counts>}
 */
async function runVitest(filters = [], env = {}) {
  if ((await ensureChromium()) === undefined) {
    const required = process.env.KVFOLD_REQUIRE_BROWSER === "1";
    print(`no Chromium: ${required ? "one is required" : "browser tests are skipped"} (set CHROME_PATH)`);
    if (required) return countOne("failed");
  }
  const folder = mkdtempSync(join(tmpdir(), "kvfold-test-"));
  const reportFile = join(folder, "report.json");
  try {
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
    const exitCode = await runProgram("vitest", ["run", ...filters, ...reporters], { env });
    return countVitest(readReport(reportFile), exitCode);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} file @returns {import("./counts.mjs").VitestReport | undefined} */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined; // Vitest ended before it could write one, which counts as a failure
  }
}

/** @param {readonly Counts[]} counts */
function conclude(counts) {
  const total = addCounts(counts);
  print(formatCounts(total));
  return total.failed > 0 ? 1 : 0;
}

/** @param {string} name @param {number} code */
function announceStop(name, code) {
  print(`\nstopped during ${name}`);
  return code;
}

/** @param {number} startedAt */
const seconds = (startedAt) => `${((performance.now() - startedAt) / 1_000).toFixed(1)} s`;

/** @param {string} line */
const print = (line) => process.stdout.write(`${line}\n`);
