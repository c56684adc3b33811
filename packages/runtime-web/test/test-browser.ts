import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { HEADLESS_FLAGS, SOFTWARE_GPU_FLAGS } from "../../../tooling/run/chromium.mjs";
import { bundlePage } from "./bundle-page.js";
import { type PageServer, type Served, servePage } from "./page-server.js";

/** Found, or named by `CHROME_PATH`, when Vitest starts; without one, tests in browsers are skipped. */
export const chromePath: string | undefined = process.env.CHROME_PATH || undefined;

/**
 * Whether tests that take a minute each and rarely fail run, too: kernels for WebGPU that SwiftShader compiles, of graphs
 * that other tests run on WebAssembly, and a GPU that is lost. `npm run test:browser` runs them, `npm test` skips them.
 */
export const slowTests: boolean = process.env.KVFOLD_SLOW_TESTS === "1";

/** Milliseconds: SwiftShader compiles and runs all kernels on the CPU, where other tests run too. */
export const SOFTWARE_GPU_TIMEOUT = 180_000;

export declare namespace startBrowser {
  interface Options {
    readonly gpu: "no-gpu" | "software-gpu";
    /** The module of this folder that pages run, `page.ts` with its worker by default. */
    readonly script?: string;
    /** What is served beside it: files by path, and folders by prefix. */
    readonly files?: Readonly<Record<string, Served>>;
    readonly folders?: Readonly<Record<string, string>>;
  }
}

/** A browser, and the server of its pages, for the tests of one file. */
export interface TestBrowser {
  readonly browser: Browser;
  readonly server: PageServer;
  /** What pages threw or wrote to the console. */
  readonly messages: string[];
  /** Opens a page and waits for its script. */
  openPage(context?: BrowserContext): Promise<Page>;
  close(): Promise<void>;
}

export async function startBrowser({
  gpu,
  script,
  files,
  folders,
}: startBrowser.Options): Promise<TestBrowser> {
  const scripts = await bundlePage(script === undefined ? undefined : { page: script });
  const server = await servePage({ ...scripts, ...files }, folders);
  const flags = gpu === "no-gpu" ? ["--disable-gpu"] : SOFTWARE_GPU_FLAGS;
  const browser = await chromium.launch({ executablePath: chromePath!, args: [...HEADLESS_FLAGS, ...flags] });
  const messages: string[] = [];
  return {
    browser,
    server,
    messages,
    async openPage(context) {
      const page = await (context ?? browser).newPage();
      noteMessages(page, messages);
      await page.goto(server.url);
      await page.waitForFunction("globalThis.kvfold !== undefined || globalThis.transformers !== undefined");
      return page;
    },
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

function noteMessages(page: Page, messages: string[]): void {
  page.on("pageerror", (error) => messages.push(error.message));
  page.on("console", (message) => {
    // Chromium itself notes requests that fail.
    if (!message.text().startsWith("Failed to load resource")) messages.push(message.text());
  });
}
