import { type Browser, chromium } from "playwright-core";
import { HEADLESS_FLAGS } from "../../../tooling/run/chromium.mjs";

/** Found, or named by `CHROME_PATH`, when Vitest starts; without one, tests in browsers are skipped. */
export const chromePath: string | undefined = process.env.CHROME_PATH || undefined;

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
    args: [...HEADLESS_FLAGS, ...(gpu === "no-gpu" ? ["--disable-gpu"] : SOFTWARE_GPU)],
  });
