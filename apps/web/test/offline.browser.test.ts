import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium, HEADLESS_FLAGS } from "../../../tooling/run/chromium.mjs";
import { startStaticHost } from "../../../tooling/testing/static-host.mjs";
import { violationsOf } from "./axe.js";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const chromiumPath = findChromium();

describe.skipIf(chromiumPath === undefined)(
  "the page from a static host (skipped where no Chromium is found: set CHROME_PATH)",
  () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: chromiumPath!, args: [...HEADLESS_FLAGS] });
    });
    afterAll(() => browser?.close());

    it("is there without its scripts, isolates itself, and comes back when the host is gone, as its link says", {
      timeout: 120_000,
    }, async () => {
      const host = await startStaticHost(dist);
      const page = await browser.newPage({ viewport: { width: 360, height: 780 } });
      page.setDefaultTimeout(60_000);
      const problems: string[] = [];
      page.on("pageerror", ({ message }) => problems.push(message));
      const html = await (await fetch(host.url)).text();
      expect(html).toContain("1. Choose a model");
      expect(html).not.toMatch(/<link rel="stylesheet"|<script[^>]* src=/);

      await page.goto(`${host.url}#keep=1/8&method=latent&windows=5`);
      await expect.poll(() => page.evaluate(() => crossOriginIsolated), { timeout: 60_000 }).toBe(true);
      await host.close();
      await page.reload();
      await page.getByText("The link that was opened asks for what is unknown: windows=5.").waitFor();
      expect(await page.getByLabel("Cache to keep").inputValue()).toBe("1/8");
      expect(await page.getByLabel("Method").inputValue()).toBe("latent");
      expect(await page.getByLabel("Calibration windows").inputValue()).toBe("8");

      expect(await violationsOf(page)).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
      expect(problems).toEqual([]);
      await page.close();
    });
  },
);
