import { chromium } from "playwright-core";
import { findChromium, HEADLESS_FLAGS, SOFTWARE_GPU_FLAGS } from "../../tooling/run/chromium.mjs";
import { peakBytes } from "./process-memory.mjs";

const MINUTES = 60_000;

const executablePath = findChromium();
if (executablePath === undefined) throw new Error("no Chromium found; set CHROME_PATH");

/** Opens a model that has read a prompt, in a worker of a page, in a browser that does nothing else. */
export async function openTab(url, { script, ...job }) {
  const gpuFlags = job.provider === "webgpu" ? SOFTWARE_GPU_FLAGS : ["--disable-gpu"];
  const browser = await chromium.launch({ executablePath, args: [...HEADLESS_FLAGS, ...gpuFlags] });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(30 * MINUTES);
    await page.goto(url);
    const emptyBytes = await peakBytes(browser, job.provider);
    await page.evaluate(startWorker, `/${script}.js`);
    const ask = async (request) => {
      const { error, ...answer } = await page.evaluate(askWorker, request);
      if (error === undefined) return answer;
      throw new Error(`${script}, ${job.model}: ${error}`);
    };
    await ask(job);
    return {
      emptyBytes,
      decode: (count) => ask(count),
      peakBytes: () => peakBytes(browser, job.provider),
      close: () => browser.close(),
    };
  } catch (error) {
    await browser.close();
    throw error;
  }
}

/** In the page. */
const startWorker = (script) => {
  globalThis.worker = new Worker(script, { type: "module" });
};

/** In the page. */
const askWorker = (request) =>
  new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => resolve({ error: message });
    worker.postMessage(request);
  });
