import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { addProgramFolder, captureProgram, stopCode } from "./child.mjs";
import { root } from "./root.mjs";

/** Turbo says at its first run that it collects statistics; neither is wanted. */
const quietTurbo = { TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1", TURBO_NO_UPDATE_NOTIFIER: "1" };

/** Nothing is said of work that ends within this time. */
const PATIENCE_MS = 1_000;

const pnpmVersion = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).packageManager;
/** Where npx keeps that version of pnpm: asking npx takes a second, reading this file does not. */
const pnpmNote = join(root, "node_modules/.cache/kvfold", pnpmVersion);

/**
 * Makes the workspace ready for use: pnpm found, dependencies installed as locked. Silent where nothing is to do.
 *
 * @returns {Promise<boolean>} whether it is ready; if not, the reason is on stderr
 */
export async function prepareWorkspace() {
  const folder = notedPnpmFolder() ?? (await fetchPnpm());
  if (folder === undefined) return false;
  addProgramFolder(folder);
  const ready = isInstalled() || (await report("installing dependencies", "pnpm", installArgs)).code === 0;
  if (ready) notePnpmFolder(folder);
  return ready;
}

/**
 * Builds one folder of the workspace and what it depends on, from turbo's cache where it can.
 *
 * @param {string} folder such as `apps/cli`
 * @returns {Promise<boolean>} whether it is built; if not, the build's output is on stderr
 */
export async function buildFolder(folder) {
  const args = ["run", "build", `--filter=./${folder}`, "--output-logs=errors-only"];
  return (await report(`building ${folder}`, "turbo", args, quietTurbo)).code === 0;
}

/** Arguments and environment of a turbo task over the whole workspace. @param {string} task */
export const turboTask = (task) => ({
  program: "turbo",
  args: ["run", task, "--continue", "--output-logs=errors-only"],
  env: quietTurbo,
});

const installArgs = ["install", "--frozen-lockfile", "--reporter=append-only"];

/** pnpm leaves beside the installed packages the lockfile that it installed them from. */
function isInstalled() {
  const installed = join(root, "node_modules/.pnpm/lock.yaml");
  const wanted = join(root, "pnpm-lock.yaml");
  return existsSync(installed) && readFileSync(installed).equals(readFileSync(wanted));
}

function notedPnpmFolder() {
  if (!existsSync(pnpmNote)) return undefined;
  const folder = readFileSync(pnpmNote, "utf8");
  return existsSync(join(folder, "pnpm")) ? folder : undefined;
}

/** @param {string} folder */
function notePnpmFolder(folder) {
  if (folder === notedPnpmFolder()) return;
  mkdirSync(join(pnpmNote, ".."), { recursive: true });
  writeFileSync(pnpmNote, folder);
}

/** Has npx bring the locked version of pnpm. @returns {Promise<string | undefined>} the folder of its program */
async function fetchPnpm() {
  const printPath = ["--yes", `--package=${pnpmVersion}`, "--", "node", "-p", "process.env.PATH"];
  const { code, stdout } = await report(`fetching ${pnpmVersion}`, "npx", printPath);
  if (code !== 0) return undefined;
  return stdout
    .trim()
    .split(delimiter)
    .find((folder) => existsSync(join(folder, "pnpm")));
}

/**
 * Runs a program whose output matters only if it fails, and says on stderr what is going on if it takes long.
 *
 * @param {string} what
 * @param {string} program
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env]
 */
async function report(what, program, args, env = {}) {
  const timer = setTimeout(() => process.stderr.write(`kvfold: ${what}…\n`), PATIENCE_MS);
  const result = await captureProgram(program, args, { env });
  clearTimeout(timer);
  if (result.code !== 0 && stopCode() === undefined)
    process.stderr.write(`${result.output}\nkvfold: ${what} failed (exit code ${result.code})\n`);
  return result;
}
