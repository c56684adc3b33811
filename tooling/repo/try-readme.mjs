/**
 * Does what README.md says, as a new user would: every command and program of its first sections, copied literally, in an empty
 * folder. Needs a build, npm's registry and Chromium; `npm test` leaves it out. Two things stand in for what is elsewhere: a registry
 * on this machine has the packages, and a Hub on this machine has `prose-6m` in place of the model of the examples.
 *
 *     node tooling/repo/try-readme.mjs
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { findChromium, HEADLESS_FLAGS } from "../run/chromium.mjs";
import { root } from "../run/root.mjs";
import { startHub } from "./release/local-hub.mjs";
import { startRegistry } from "./release/local-registry.mjs";

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ message.content }}\n{% endfor %}{% if add_generation_prompt %}{% endif %}";

/** A page that starts and answers may take minutes on a machine that does other work. */
const PAGE_MILLISECONDS = 600_000;

const started = performance.now();
const place = mkdtempSync(join(tmpdir(), "kvfold-readme-"));
const work = join(place, "work");
const say = (/** @type {string} */ what) =>
  process.stdout.write(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${what}\n`);

prepare();
const upstream = execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim();
mkdirSync(join(place, "packed"));
const registry = await startRegistry(join(place, "packed"), upstream);
const hub = await startHub(join(work, "model"));
say("packed; the stand-ins listen");
/** @type {NodeJS.ProcessEnv} */
const env = {
  ...process.env,
  PATH: [join(place, "global/bin"), process.env.PATH].join(delimiter),
  npm_config_registry: `${registry.url}/`,
  npm_config_prefix: join(place, "global"),
  npm_config_ignore_scripts: "true",
  npm_config_audit: "false",
  npm_config_fund: "false",
  npm_config_update_notifier: "false",
  HF_ENDPOINT: hub.url,
  XDG_CACHE_HOME: join(place, "cache"),
};
try {
  let programs = 0;
  for (const { language, code } of readmeFences()) {
    if (language === "sh") for (const command of commandsOf(code)) await run(command);
    else {
      const file = `program-${++programs}.mjs`;
      writeFileSync(join(work, file), code);
      await run(`node ${file}`);
    }
  }
  await chat(join(work, "my-chat/dist"));
  const minutes = (performance.now() - started) / 60_000;
  say(`all that README.md says works on Node ${process.versions.node}, in ${minutes.toFixed(1)} minutes`);
} finally {
  await registry.close();
  await hub.close();
  rmSync(place, { recursive: true });
}

/** What a user has: two texts, a clone, and a checkpoint in a folder. */
function prepare() {
  cpSync(join(root, "assets/models/prose-6m"), join(work, "model"), { recursive: true });
  const settings = join(work, "model/tokenizer_config.json");
  const fields = JSON.parse(readFileSync(settings, "utf8"));
  writeFileSync(settings, JSON.stringify({ ...fields, chat_template: CHAT_TEMPLATE }));
  cpSync(join(root, "assets/text/the-thirty-nine-steps.txt"), join(work, "book.txt"));
  cpSync(join(root, "assets/text/sunshine-sketches.txt"), join(work, "another-book.txt"));
  cpSync(join(root, "examples/vite-chat"), join(work, "examples/vite-chat"), { recursive: true });
  writeFileSync(join(work, "package.json"), JSON.stringify({ private: true, type: "module" }));
}

/** The fences of the sections that a new user follows. */
function readmeFences() {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const [, sections = ""] = /^## Install$([\s\S]*?)^## What it costs$/m.exec(readme) ?? [];
  return [...sections.matchAll(/^```(sh|js)\n([\s\S]*?)^```$/gm)].map(([, language, code = ""]) => ({
    language,
    code,
  }));
}

/** @param {string} code */
function commandsOf(code) {
  return code.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** Runs a command in a shell. @param {string} command */
async function run(command) {
  say(`$ ${command}`);
  const child = spawn("sh", ["-c", command], { cwd: work, env, stdio: ["ignore", "pipe", "inherit"] });
  const output = await child.stdout.setEncoding("utf8").toArray();
  const code = child.exitCode ?? (await once(child, "close"))[0];
  if (code !== 0) throw new Error(`${command}: ended with ${code}\n${output.join("")}`);
}

/** Asks the page that was built, in a browser. @param {string} site */
async function chat(site) {
  if (!existsSync(site)) throw new Error("README.md builds no page");
  const fromExamples = createRequire(join(root, "examples/package.json"));
  const { preview } = await import(fromExamples.resolve("vite"));
  const { chromium } = fromExamples("playwright-core");
  const server = await preview({
    root: join(site, ".."),
    logLevel: "silent",
    preview: { host: "127.0.0.1", port: 0 },
  });
  const browser = await chromium.launch({ executablePath: findChromium(), args: HEADLESS_FLAGS });
  const page = await browser.newPage();
  page.setDefaultTimeout(PAGE_MILLISECONDS);
  try {
    await page.goto(server.resolvedUrls.local[0]);
    await page.locator("form[data-ready]").waitFor();
    await page.getByLabel("Your message").fill("It was a dark and stormy night");
    await page.keyboard.press("Enter");
    await page.locator("#messages li").nth(1).filter({ hasText: /\w/ }).waitFor();
    say("the page answers");
  } catch (error) {
    const status = await page.locator("#status").textContent();
    throw new Error(`the page does not answer; it says: ${status}`, { cause: error });
  } finally {
    await browser.close();
    await server.close();
  }
}
