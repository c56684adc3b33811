/**
 * The page in Chromium, served as by a static host: first paint and bytes, time to the first token, a visit without a
 * network, axe-core and a keyboard walk in each state, targets and width on a phone. Writes the pictures of docs/web.md
 * and prints its figures; fails where something is found. `npm run build` first; needs Chromium.
 * `node bench/page.mjs [--visits 7] [--only paint,offline,states,first,folded]`
 */
import { chromium } from "playwright-core";
import { findChromium, HEADLESS_FLAGS } from "../tooling/run/chromium.mjs";
import { startStaticHost } from "../tooling/testing/static-host.mjs";
import { axeFindings, overflow, smallTargets } from "./page/accessibility.mjs";
import { bytesOf, CONNECTIONS, firstVisit } from "./page/first-paint.mjs";
import { tabTo, walk } from "./page/keyboard.mjs";
import { awaitAnswers, chooseEmbedded, firstToken, fold, measure, shortenModel } from "./page/steps.mjs";
import { fail, machine, option, repositoryPath, textOption } from "./paths.mjs";
import { median } from "./support.mjs";

const MINUTES = 60_000;
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 360, height: 780 };

const visits = option("visits", 7);
const parts = { paint, offline, states, first, folded };
const wanted = textOption("only", Object.keys(parts).join(",")).split(",");
const dist = repositoryPath("apps/web/dist");
const complaints = [];

const executablePath = findChromium();
if (executablePath === undefined) fail("no Chromium found; set CHROME_PATH");
const browser = await chromium.launch({ executablePath, args: [...HEADLESS_FLAGS] });
try {
  console.log(`${machine()}, Chromium ${browser.version()}\n`);
  for (const name of wanted) await parts[name]();
} finally {
  await browser.close();
}
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length > 0 ? 1 : 0;

async function paint() {
  const host = await startStaticHost(dist);
  for (const [connection, limits] of Object.entries(CONNECTIONS)) {
    const all = [];
    for (let index = 0; index < visits; index++) all.push(await firstVisit(browser, host.url, limits));
    const times = (name) => all.map((visit) => visit[name]);
    const middle = (name) =>
      `${median(times(name)).toFixed(0)} ms (${Math.min(...times(name)).toFixed(0)} at best)`;
    const { requests } = all[0];
    console.log(`${connection}: median of ${visits} first visits`);
    console.log(`  first paint ${middle("firstPaint")}, first content ${middle("firstContent")}`);
    console.log(`  largest content ${middle("largest")}, usable ${middle("usable")}`);
    console.log(`  layout shift ${Math.max(...all.map(({ shift }) => shift)).toFixed(4)}`);
    console.log(`  bytes: page ${bytesOf(requests, "Document")}, styles ${bytesOf(requests, "Stylesheet")}`);
    console.log(`  scripts ${bytesOf(requests, "Script")}, after the first paint`);
    if (median(times("firstPaint")) >= 1000) complaints.push(`${connection}: first paint after a second`);
  }
  await host.close();
}

/** A first visit, then one without the host: fold and answer. */
async function offline() {
  const host = await startStaticHost(dist);
  const context = await browser.newContext({ viewport: DESKTOP });
  const page = await newPage(context);
  await page.goto(host.url);
  await page.getByText("Works offline").waitFor();
  console.log(`offline: ${await page.locator(".offline").textContent()}`);
  console.log(`  isolated, for threads: ${await page.evaluate(() => crossOriginIsolated)}`);
  await host.close();
  await page.reload();
  await chooseEmbedded(page);
  const folded = await fold(page, { keep: "1/4", windows: "4" });
  const first = await firstToken(page);
  await awaitAnswers(page);
  console.log(`  without the host: fold ${folded.toFixed(1)} s, then first token ${first.toFixed(2)} s\n`);
  await context.close();
}

/** Each state of the page by axe, light and dark, by targets and width on a phone, and by keyboard. */
async function states() {
  const host = await startStaticHost(dist);
  const context = await browser.newContext({ serviceWorkers: "block" });
  const page = await newPage(context);
  await shortenModel(page);
  await page.goto(host.url);
  await check(page, "at first");
  await keyboardWalk(page, "at first");
  await page.locator("input[type=file]").setInputFiles(repositoryPath("docs/decisions"));
  await page.getByRole("alert").waitFor();
  await check(page, "a folder refused");
  await tabTo(page, "Use the embedded prose-6m");
  await page.keyboard.press("Enter");
  await page.getByText("prose-6m", { exact: true }).waitFor();
  await tabTo(page, "Fold");
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Cancel" }).waitFor();
  await check(page, "folding");
  await page.keyboard.press("Escape");
  await page.locator("fieldset:enabled").first().waitFor();
  await fold(page, { keep: "1/4", windows: "4" });
  await page.getByLabel("Tuning steps").selectOption("80");
  await tabTo(page, "Tune");
  await page.keyboard.press("Enter");
  await page.getByText(/^tuning: step/).waitFor();
  await check(page, "tuning");
  await page.keyboard.press("Escape");
  await page.getByText(/^(Tuned|No step)/).waitFor();
  await page.getByRole("combobox", { name: "Folded to" }).selectOption("1/4");
  await tabTo(page, "Continue both");
  await page.keyboard.press("Enter");
  await page.locator("button:has-text('Stop'):enabled").waitFor();
  await check(page, "answering");
  await awaitAnswers(page);
  await measure(page, "1/4");
  await check(page, "answered");
  await keyboardWalk(page, "answered");
  await context.close();
  await host.close();
}

async function check(page, state) {
  for (const colorScheme of ["light", "dark"])
    for (const viewport of [DESKTOP, PHONE]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      const { findings, rules } = await axeFindings(page);
      const found = [...findings];
      const wider = await overflow(page);
      if (wider > 0) found.push(`wider than its window by ${wider} px`);
      if (viewport === PHONE) found.push(...(await smallTargets(page)));
      const where = `${state}, ${viewport.width} px, ${colorScheme}`;
      complaints.push(...found.map((line) => `${where}: ${line}`));
      console.log(`${where}: ${rules} rules of axe, ${found.length} complaints`);
    }
}

async function keyboardWalk(page, state) {
  const found = await walk(page);
  complaints.push(...found.complaints.map((line) => `keyboard, ${state}: ${line}`));
  console.log(`  Tab, ${state}: ${found.stops.join(" > ")}`);
}

/** The page as a visitor finds it. */
async function first() {
  await onPage(async (page) => {
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await takePictures(page, `first-${colorScheme}`);
    }
  });
}

/** The page after a fold, with answers and pictures, from top to bottom. */
async function folded() {
  await onPage(async (page) => {
    await chooseEmbedded(page);
    const folded = await fold(page, { keep: "1/4", windows: "8" });
    const first = await firstToken(page);
    await awaitAnswers(page);
    console.log(
      `folded to 1/4 in ${folded.toFixed(1)} s, first token of an answer ${first.toFixed(2)} s after it is asked\n`,
    );
    await measure(page, "1/4");
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await takePictures(page, `folded-${colorScheme}`);
    }
  });
}

async function onPage(use) {
  const host = await startStaticHost(dist);
  const context = await browser.newContext({ viewport: DESKTOP });
  const page = await newPage(context);
  await page.goto(host.url);
  await page.getByText("Works offline").waitFor();
  await use(page);
  await context.close();
  await host.close();
}

async function takePictures(page, name) {
  for (const [device, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
    await page.setViewportSize(viewport);
    await page.evaluate(() => scrollTo(0, 0));
    const fullPage = !name.startsWith("first");
    await page.screenshot({ path: repositoryPath(`docs/web/${name}-${device}.png`), fullPage });
  }
}

async function newPage(context) {
  const page = await context.newPage();
  page.setDefaultTimeout(10 * MINUTES);
  page.on("pageerror", ({ message }) => complaints.push(`the page fails: ${message}`));
  page.on("crash", () => complaints.push("the page crashed"));
  return page;
}
