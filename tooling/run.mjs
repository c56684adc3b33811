/**
 * The commands of this repository, for a machine that has Node and npm only:
 * `npm run demo`, `npm run web`, `npm test`, `npm run test:browser`, `npm run build`, `npm run kvfold -- ARGUMENTS`.
 */

import { runBrowserTests, runChecks } from "./run/checks.mjs";
import { guardSignals, runProgram, stopCode } from "./run/child.mjs";
import { root } from "./run/root.mjs";
import { buildFolder, prepareWorkspace, turboTask } from "./run/workspace.mjs";

/** @type {Record<string, (args: string[]) => Promise<number>>} */
const commands = {
  build: buildAll,
  demo: (args) => runApp("apps/demo", args),
  kvfold: (args) => runApp("apps/cli", args),
  test: runChecks,
  "test:browser": runBrowserTests,
  web: serveWeb,
};

/** Builds an app where needed and runs it in the folder from which npm was called. @param {string} folder @param {string[]} args */
async function runApp(folder, args) {
  const ready = (await prepareWorkspace()) && (await buildFolder(folder));
  if (!ready || stopCode() !== undefined) return stopCode() ?? 1;
  const cwd = process.env.INIT_CWD ?? process.cwd();
  return runProgram(process.execPath, [`${root}/${folder}/dist/main.js`, ...args], { cwd });
}

/** Builds the web app and serves it on this machine until stopped. @param {string[]} args */
async function serveWeb(args) {
  const folder = "apps/web";
  const ready = (await prepareWorkspace()) && (await buildFolder(folder));
  if (!ready || stopCode() !== undefined) return stopCode() ?? 1;
  const cwd = `${root}/${folder}`;
  return runProgram(`${cwd}/node_modules/.bin/vite`, ["preview", ...args], { cwd });
}

async function buildAll() {
  if (!(await prepareWorkspace())) return stopCode() ?? 1;
  const { program, args, env } = turboTask("build");
  return runProgram(program, args, { env });
}

const [name = "", ...args] = process.argv.slice(2);
const command = commands[name];
if (command === undefined) {
  process.stderr.write(`usage: node tooling/run.mjs ${Object.keys(commands).join(" | ")} [arguments]\n`);
  process.exitCode = 2;
} else {
  guardSignals();
  process.exitCode = await command(args);
}
