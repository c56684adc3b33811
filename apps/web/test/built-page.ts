import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium } from "playwright-core";
import { preview } from "vite";
import { findChromium, HEADLESS_FLAGS, SOFTWARE_GPU_FLAGS } from "../../../tooling/run/chromium.mjs";

const app = fileURLToPath(new URL("..", import.meta.url));

/** The page as it is published, and a browser to open it in. */
export interface BuiltPage {
  readonly url: string;
  readonly browser: Browser;
  close(): Promise<void>;
}

export async function serveBuiltPage(): Promise<BuiltPage> {
  if (!existsSync(join(app, "dist/index.html")))
    throw new Error("apps/web/dist: missing; run `npm run build`");
  const server = await preview({ root: app, logLevel: "silent", preview: { host: "127.0.0.1", port: 0 } });
  const args = [...HEADLESS_FLAGS, ...SOFTWARE_GPU_FLAGS];
  const browser = await chromium.launch({ executablePath: findChromium()!, args });
  return {
    url: server.resolvedUrls!.local[0]!,
    browser,
    async close() {
      await browser.close();
      await server.close();
    },
  };
}
