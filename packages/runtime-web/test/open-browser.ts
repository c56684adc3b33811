import { type Browser, chromium } from "playwright-core";

/** Found, or named by `CHROME_PATH`, when Vitest starts; without one, tests in browsers are skipped. */
export const chromePath: string | undefined = process.env.CHROME_PATH || undefined;

/** Without a sandbox, as in a container, and without requests of the browser's own. */
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** WebGPU on SwiftShader, which needs no GPU and knows float32 alone. */
const SOFTWARE_GPU = [
  "--enable-unsafe-webgpu",
  "--enable-features=Vulkan,WebGPU",
  "--use-webgpu-adapter=swiftshader",
  "--use-vulkan=swiftshader",
  "--use-angle=swiftshader",
];

export const openBrowser = (gpu: "no-gpu" | "software-gpu"): Promise<Browser> =>
  chromium.launch({
    executablePath: chromePath!,
    args: [...FLAGS, ...(gpu === "no-gpu" ? ["--disable-gpu"] : SOFTWARE_GPU)],
  });
