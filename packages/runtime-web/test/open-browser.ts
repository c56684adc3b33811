import { type Browser, chromium } from "playwright-core";
import { HEADLESS_FLAGS, SOFTWARE_GPU_FLAGS } from "../../../tooling/run/chromium.mjs";

/** Found, or named by `CHROME_PATH`, when Vitest starts; without one, tests in browsers are skipped. */
export const chromePath: string | undefined = process.env.CHROME_PATH || undefined;

/** Milliseconds: SwiftShader compiles and runs all kernels on the CPU, where other tests run too. */
export const SOFTWARE_GPU_TIMEOUT = 180_000;

export const openBrowser = (gpu: "no-gpu" | "software-gpu"): Promise<Browser> =>
  chromium.launch({
    executablePath: chromePath!,
    args: [...HEADLESS_FLAGS, ...(gpu === "no-gpu" ? ["--disable-gpu"] : SOFTWARE_GPU_FLAGS)],
  });
