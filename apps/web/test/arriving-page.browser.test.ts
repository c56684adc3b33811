import { readFile } from "node:fs/promises";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium, HEADLESS_FLAGS } from "../../../tooling/run/chromium.mjs";

const chromiumPath = findChromium();

/** An element's beginning, and where it is in its window. */
interface Place {
  readonly html: string;
  readonly x: number;
  readonly y: number;
}

/** Of each element of the body that is seen. */
async function placesIn(page: Page, html: string): Promise<readonly Place[]> {
  await page.setContent(html, { waitUntil: "commit" });
  return page.evaluate(() =>
    [...document.body.querySelectorAll("*")]
      .filter((element) => element.checkVisibility())
      .map((element) => {
        const { x, y } = element.getBoundingClientRect();
        return { html: element.outerHTML.slice(0, 60), x, y };
      }),
  );
}

/** Every third place after the start of the body where an element ends. */
function cutsOf(html: string): readonly number[] {
  const ends = [...html.matchAll(/<\/(?:th|td|tr|p|h1|h2|div|caption|span|label|button|section)>/g)];
  const body = html.indexOf("<body");
  return ends.map(({ index }) => index).filter((end, index) => end > body && index % 3 === 0);
}

/** Pixels that nobody sees. */
const STILL = 2;

describe.skipIf(chromiumPath === undefined)(
  "the page on a slow connection (skipped where no Chromium is found: set CHROME_PATH)",
  () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: chromiumPath!, args: [...HEADLESS_FLAGS] });
    });
    afterAll(() => browser?.close());

    it.each([
      { width: 1280, height: 900 },
      { width: 360, height: 780 },
    ])("is painted while it arrives, and nothing moves at $width pixels", async (viewport) => {
      const html = await readFile(new URL("../dist/index.html", import.meta.url), "utf8");
      const context = await browser.newContext({ viewport, javaScriptEnabled: false });
      const page = await context.newPage();
      const whole = await placesIn(page, html);
      const moved: string[] = [];
      for (const cut of cutsOf(html)) {
        const arrived = await placesIn(page, html.slice(0, cut));
        for (const [index, { html: element, x, y }] of arrived.entries()) {
          const last = whole[index]!;
          const distance = Math.max(Math.abs(x - last.x), Math.abs(y - last.y));
          if (y < viewport.height && distance > STILL) moved.push(`${element} by ${distance} at ${cut}`);
        }
      }
      expect(moved).toEqual([]);
      await context.close();
    });
  },
);
