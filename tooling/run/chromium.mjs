import { existsSync } from "node:fs";
import { captureProgram } from "./child.mjs";

const candidates = [
  process.env.CHROME_PATH,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** Without a GPU or a sandbox, as in a container, and without requests of the browser's own. */
export const HEADLESS_FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** WebGPU on SwiftShader, which needs no GPU and knows float32 alone. */
export const SOFTWARE_GPU_FLAGS = [
  "--enable-unsafe-webgpu",
  "--enable-features=Vulkan,WebGPU",
  "--use-webgpu-adapter=swiftshader",
  "--use-vulkan=swiftshader",
  "--use-angle=swiftshader",
];

/** A mirror out of reach must not hold up the tests. */
const networkLimits = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"];
const INSTALL_LIMIT_MS = 300_000;

/**
 * Looks for a Chromium and, where none is found on a Debian machine with root's rights, installs it.
 *
 * @returns {Promise<string | undefined>} the program; without one the browser tests are skipped
 */
export async function ensureChromium() {
  const found = findChromium();
  if (found !== undefined || process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return found;
  process.stdout.write("no Chromium found: installing Debian's for the browser tests\n");
  const updated = await aptGet("update");
  if (updated) await aptGet("install", "-y", "--no-install-recommends", "chromium");
  return findChromium();
}

/** The browser that tests drive, if there is one. @returns {string | undefined} */
export const findChromium = () => candidates.find((path) => path !== undefined && existsSync(path));

/** @param {string[]} args */
async function aptGet(...args) {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const { code } = await captureProgram("apt-get", ["-qq", ...networkLimits, ...args], {
    env,
    timeoutMs: INSTALL_LIMIT_MS,
  });
  return code === 0;
}
