/**
 * Pictures of the page for the README, from the page itself: folds the embedded model to 1/2 and 1/4, compares, measures.
 * `npm run build`, then `node apps/web/build/screenshots.mjs`; needs Chromium.
 */
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { preview } from "vite";
import { findChromium, HEADLESS_FLAGS } from "../../../tooling/run/chromium.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const picture = (name) => fileURLToPath(new URL(`../../../docs/web-${name}.png`, import.meta.url));
const MINUTES = 60_000;

const executablePath = findChromium();
if (executablePath === undefined) throw new Error("no Chromium found; set CHROME_PATH");
const server = await preview({ root, logLevel: "silent", preview: { host: "127.0.0.1", port: 0 } });
const browser = await chromium.launch({ executablePath, args: [...HEADLESS_FLAGS] });
try {
  const page = await browser.newPage({ viewport: { width: 1000, height: 900 } });
  page.setDefaultTimeout(10 * MINUTES);
  await page.goto(server.resolvedUrls.local[0]);
  await use(page).catch(async (cause) => {
    const says = await page.locator("[role=status], [role=alert]").allTextContents();
    throw new Error(`the page says: ${says.join(" | ")}`, { cause });
  });
  await page.screenshot({ path: picture("light"), fullPage: true });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 390, height: 844 });
  await page.screenshot({ path: picture("dark-phone"), fullPage: true });
} finally {
  await browser.close();
  await server.close();
}

async function use(page) {
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  await press("Use the embedded prose-6m");
  await page.getByLabel("Calibration windows").selectOption("32");
  const folds = [
    ["1/4", "anchored"],
    ["1/2", "anchored"],
    ["1/4", "latent"],
  ];
  for (const [keep, method] of folds) {
    const label = method === "anchored" ? keep : `${keep}, ${method}`;
    await page.getByLabel("Cache to keep").selectOption(keep);
    await page.getByLabel("Method").selectOption(method);
    await press("Fold");
    await page.getByText(new RegExp(`^Folded to ${label} in`)).waitFor();
    await page.getByRole("combobox", { name: "Folded to" }).selectOption(label);
    await press("Measure both");
    await page.getByText(new RegExp(`folded to ${label} .* times`)).waitFor();
  }
  await press("Continue both");
  await page.getByText("The two texts agree").waitFor();
  await page.locator("button:has-text('Stop'):disabled").waitFor();
}
