import { existsSync } from "node:fs";

const candidates = [
  process.env.CHROME_PATH,
  process.env.KVFOLD_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** The browser that tests drive, if there is one. */
export const chromiumPath: string | undefined = candidates.find(
  (path) => path !== undefined && existsSync(path),
);

/** Without a GPU or a sandbox, as in a container, and without requests of the browser's own. */
export const CHROMIUM_FLAGS: readonly string[] = [
  "--headless=new",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** WebGPU on the processor. */
export const SOFTWARE_WEBGPU_FLAGS: readonly string[] = [
  "--enable-unsafe-webgpu",
  "--enable-features=Vulkan,WebGPU",
  "--use-webgpu-adapter=swiftshader",
  "--use-vulkan=swiftshader",
  "--use-angle=swiftshader",
];
