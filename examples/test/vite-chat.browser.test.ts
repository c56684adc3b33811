import { execFile } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Browser, chromium } from "playwright-core";
import { build, type PreviewServer, preview } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium, HEADLESS_FLAGS } from "../../tooling/run/chromium.mjs";
import { addChatTemplate } from "./chat-template.js";

const examples = fileURLToPath(new URL("..", import.meta.url));
const command = join(examples, "../apps/cli/bin/kvfold.js");
const example = join(examples, "vite-chat");
const PROMPT = "It was a dark and stormy night";
const chromiumPath = findChromium();

const run = async (...args: readonly string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, args)).stdout;

/** It bundles transformers.js, half a minute that rarely finds anything: `npm run test:browser` runs it, `npm test` does not. */
describe.skipIf(chromiumPath === undefined || process.env.KVFOLD_SLOW_TESTS !== "1")(
  "vite-chat (skipped without KVFOLD_SLOW_TESTS=1 and Chromium)",
  () => {
    let root: string;
    let answered: string;
    let site: PreviewServer;
    let browser: Browser;

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), "kvfold-vite-chat-"));
      const [outDir, model] = [join(root, "site"), join(root, "model")];
      await run(
        command,
        "fold",
        join(examples, "../assets/models/prose-6m"),
        "-o",
        model,
        "--method",
        "svd-w",
        "--keep",
        "1/2",
        "--heal",
        "none",
        "-q",
      );
      await addChatTemplate(model);
      answered = (await run(join(examples, "chat-in-node.mjs"), model, PROMPT, "24")).trim();
      await build({ root: example, logLevel: "error", build: { outDir } });
      await cp(model, join(outDir, "model"), { recursive: true });
      site = await preview({
        root: example,
        logLevel: "silent",
        build: { outDir },
        preview: { host: "127.0.0.1", port: 0 },
      });
      browser = await chromium.launch({ executablePath: chromiumPath!, args: HEADLESS_FLAGS });
    }, 300_000);
    afterAll(async () => {
      await browser?.close();
      await site?.close();
      await rm(root, { recursive: true, force: true });
    });

    it("answers as Node does, with nothing from elsewhere", async () => {
      const address = site.resolvedUrls!.local[0]!;
      const page = await browser.newPage();
      const elsewhere: string[] = [];
      page.on("request", (request) => {
        if (!/^(?:blob|data):/.test(request.url()) && !request.url().startsWith(address))
          elsewhere.push(request.url());
      });
      await page.goto(address);
      await page.locator("form[data-ready]").waitFor();
      await page.getByLabel("Your message").fill(PROMPT);
      await page.keyboard.press("Enter");
      const answer = page.locator("#messages li").nth(1);
      await page.locator("form[data-ready]").waitFor();
      const text = (await answer.textContent())!.trim();
      // Node stopped after 24 tokens.
      expect(text.startsWith(answered)).toBe(true);
      expect(text.length).toBeGreaterThan(answered.length);
      expect(elsewhere).toEqual([]);
    });
  },
);
