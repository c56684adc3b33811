import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Browser, chromium } from "playwright-core";
import { createServer, type Plugin, type ViteDevServer } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium, HEADLESS_FLAGS } from "../../tooling/run/chromium.mjs";
import { addChatTemplate } from "./chat-template.js";

const examples = fileURLToPath(new URL("..", import.meta.url));
const assets = join(examples, "../assets");
const PROMPT = "It was a dark and stormy night";

const command = join(examples, "../apps/cli/bin/kvfold.js");
/** Runs an example as a user does, on the built packages, and returns what it prints. */
async function run(name: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(examples, name), ...args]);
  expect(stderr).toBe("");
  return stdout;
}

let root: string;
let folded: string;
let streamed: string;
/** The folded model with a chat template. */
let chatModel: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-examples-"));
  folded = join(root, "folded");
  chatModel = join(root, "chat");
});
afterAll(() => rm(root, { recursive: true, force: true }));

it("fold-in-node.mjs folds to a quarter", async () => {
  const text = join(assets, "text/the-thirty-nine-steps.txt");
  expect(await run("fold-in-node.mjs", join(assets, "models/prose-6m"), text, folded, "4")).toBe(
    `${folded}: 3072 bytes of cache per token instead of 12288\n`,
  );
  expect(JSON.parse(await readFile(join(folded, "kvfold.json"), "utf8"))).toMatchObject({
    calibration: { files: ["the-thirty-nine-steps.txt"], windows: 4 },
  });
});

/** Without measurements, which the program above makes already. */
it("README.md folds as it says", async () => {
  const readme = await readFile(join(examples, "../README.md"), "utf8");
  const code = /^```js\n((?:.*\n)*?)```/m.exec(readme)?.[1] ?? "";
  const program = code
    .replace('"model"', JSON.stringify(join(assets, "models/prose-6m")))
    .replace('"model-quarter"', `${JSON.stringify(join(root, "quarter"))}, method: "svd-w"`);
  const name = ".readme.mjs"; // beside the examples, where packages resolve as theirs do
  await writeFile(join(examples, name), program);
  try {
    expect(await run(name)).toBe("3072 bytes of cache per token instead of 12288\n");
  } finally {
    await rm(join(examples, name));
  }
});

it("stream-in-node.mjs goes on with a prompt", async () => {
  streamed = await run("stream-in-node.mjs", folded, PROMPT, "24");
  expect(streamed.startsWith(PROMPT)).toBe(true);
  expect(streamed.length).toBeGreaterThan(PROMPT.length + 24);
});

it("transformers-pipeline.mjs writes the same with nothing of kvfold", async () => {
  expect(await run("transformers-pipeline.mjs", folded, PROMPT, "24")).toBe(streamed);
});

it("chat-in-node.mjs answers as kvfold does by the model's template", async () => {
  await cp(folded, chatModel, { recursive: true });
  await addChatTemplate(chatModel);
  const answered = (await run("chat-in-node.mjs", chatModel, PROMPT, "24")).trim();
  expect(answered.length).toBeGreaterThan(24);
  const args = [command, "generate", chatModel, "--chat", "--prompt", PROMPT, "--max-new-tokens", "24"];
  const { stdout } = await promisify(execFile)(process.execPath, [...args, "--quiet"]);
  expect(answered).toBe(stdout.trim());
});

it("ask-server.mjs prints what kvfold serve answers", async () => {
  const server = spawn(process.execPath, [command, "serve", folded, "--port", "0", "--quiet"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    // A server that cannot start ends, and its output with it.
    const [address = ""] = await server.stdout.setEncoding("utf8").take(1).toArray();
    const answer = await run("ask-server.mjs", address.trim(), PROMPT, "24");
    expect(answer.startsWith(PROMPT)).toBe(true);
    expect(answer.length).toBeGreaterThan(PROMPT.length + 24);
    // Greedy, so that the same question has the same answer.
    expect(await run("ask-server.mjs", address.trim(), PROMPT, "24")).toBe(answer);
  } finally {
    server.kill("SIGINT");
    await once(server, "close");
  }
});

const python = process.env.PYTHON ?? "python3";
const hasPackages = spawnSync(python, ["-c", "import onnxruntime, tokenizers"]).status === 0;

it.skipIf(!hasPackages)(
  "generate.py writes the same in Python (skipped without its packages onnxruntime and tokenizers)",
  async () => {
    const { stdout } = await promisify(execFile)(python, [
      join(examples, "generate.py"),
      folded,
      PROMPT,
      "24",
    ]);
    expect(stdout).toBe(streamed);
  },
);

it("rope-alone.mjs moves keys", async () => {
  const [, difference] = (await run("rope-alone.mjs")).split(": ");
  // Two roundings of float32 for numbers up to 1.5.
  expect(Number(difference)).toBeLessThan(3e-7);
});

it("differentiate.mjs goes downhill", async () => {
  const losses = (await run("differentiate.mjs")).trim().split("\n").map(Number);
  expect(losses).toHaveLength(5);
  // A step of a quarter against the gradient 2 (w - target) halves the distance, so the loss goes to a quarter.
  for (const [index, loss] of losses.entries()) expect(loss).toBeCloseTo(14 / 4 ** index, 5);
});

const chromiumPath = findChromium();

describe.skipIf(chromiumPath === undefined)(
  "in Chromium (skipped where none is found: set CHROME_PATH)",
  () => {
    let server: ViteDevServer;
    let browser: Browser;
    beforeAll(async () => {
      server = await createServer({
        root: join(examples, "stream-in-page"),
        configFile: false,
        logLevel: "silent",
        plugins: [serve("/model/", folded), serve("/ort/", runtimeFolder())],
        resolve: {
          conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import", "default"],
        },
        optimizeDeps: { noDiscovery: true },
        server: { host: "127.0.0.1", port: 0, fs: { allow: [join(examples, "..")] } },
      });
      await server.listen();
      browser = await chromium.launch({ executablePath: chromiumPath!, args: HEADLESS_FLAGS });
    });
    afterAll(async () => {
      await browser?.close();
      await server?.close();
    });

    it("stream-in-page writes what Node writes", async () => {
      const page = await browser.newPage();
      await page.goto(`${server.resolvedUrls!.local[0]}?prompt=${encodeURIComponent(PROMPT)}`);
      await page.locator("#text[data-done]").waitFor();
      expect(await page.locator("#text").textContent()).toContain(streamed.trimEnd());
    });
  },
);

const runtimeFolder = (): string => dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));

/** The files of a folder under a path, as any static server gives them. */
const serve = (prefix: string, folder: string): Plugin => ({
  name: `serve ${prefix}`,
  configureServer({ middlewares }) {
    middlewares.use(prefix, (request, response, next) => {
      const path = new URL(request.url!, "http://page").pathname;
      if (path.endsWith(".mjs")) response.setHeader("content-type", "text/javascript");
      if (path.endsWith(".wasm")) response.setHeader("content-type", "application/wasm");
      readFile(join(folder, path)).then((bytes) => response.end(bytes), next);
    });
  },
});
