import { afterEach, describe, expect, it, vi } from "vitest";
import { openGpuDevice } from "./gpu-session-device.js";
import { chooseExecutionProvider } from "./index.js";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** A browser with these parts. */
function stubBrowser({ adapter, isolated = false }: { adapter?: object | null; isolated?: boolean }): void {
  const gpu = adapter === undefined ? {} : { gpu: { requestAdapter: async () => adapter } };
  vi.stubGlobal("navigator", { hardwareConcurrency: 6, ...gpu });
  vi.stubGlobal("crossOriginIsolated", isolated);
}

const info = { vendor: "apple", architecture: "metal-3", description: "" };

describe("chooseExecutionProvider", () => {
  it("takes a GPU where the browser gives one, and names it", async () => {
    stubBrowser({ adapter: { info } });
    expect(await chooseExecutionProvider()).toEqual({
      provider: "webgpu",
      reason: "WebGPU, on apple metal-3.",
      threads: 1,
    });
    stubBrowser({ adapter: { info: { ...info, vendor: "", architecture: "" } } });
    expect((await chooseExecutionProvider()).reason).toBe("WebGPU, on a GPU that the browser does not name.");
  });

  it.each([
    [{}, "because this browser has no WebGPU"],
    [{ adapter: null }, "because the browser finds no GPU that it would use"],
    [{ adapter: { info: { ...info, isFallbackAdapter: true } } }, "because the GPU is imitated by a program"],
  ])("takes WebAssembly otherwise, and says why (%j)", async (browser, why) => {
    stubBrowser(browser);
    expect(await chooseExecutionProvider()).toEqual({
      provider: "wasm",
      reason: `WebAssembly, ${why}; one thread, since the page is not isolated from other origins (COOP and COEP).`,
      threads: 1,
    });
  });

  it("does not wait for a browser that never answers", async () => {
    vi.useFakeTimers();
    vi.stubGlobal("navigator", {
      hardwareConcurrency: 2,
      gpu: { requestAdapter: () => new Promise(() => {}) },
    });
    const choice = chooseExecutionProvider();
    const device = openGpuDevice().catch((error: Error) => error.message);
    await vi.advanceTimersByTimeAsync(10_000);
    expect((await choice).reason).toMatch(/^WebAssembly, because the browser finds no GPU/);
    expect(await device).toBe(
      'expected a GPU for WebGPU, found a browser that does not answer within 10 seconds when asked for one: run on "wasm"',
    );
  });

  it("blames a page without HTTPS where that is why", async () => {
    stubBrowser({});
    vi.stubGlobal("isSecureContext", false);
    expect((await chooseExecutionProvider()).reason).toMatch(/^WebAssembly, because browsers keep WebGPU/);
  });

  it("counts on threads on isolated pages only", async () => {
    stubBrowser({ isolated: true });
    expect(await chooseExecutionProvider()).toMatchObject({
      threads: 3,
      reason: "WebAssembly, because this browser has no WebGPU; 3 threads.",
    });
  });

  it("takes what it is told to", async () => {
    stubBrowser({ adapter: { info }, isolated: true });
    expect(await chooseExecutionProvider("wasm")).toMatchObject({
      provider: "wasm",
      reason: "WebAssembly, as asked for; 3 threads.",
    });
    stubBrowser({});
    expect(await chooseExecutionProvider("webgpu")).toMatchObject({ provider: "webgpu" });
  });
});
