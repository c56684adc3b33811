import { readFile } from "node:fs/promises";

/**
 * The most that was ever resident of the tab's process, as Linux counts it. With WebGPU, that of the browser's process
 * for the GPU as well: the buffers are there, and on SwiftShader they are ordinary memory.
 */
export async function peakBytes(browser, provider) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const peakOf = async (wanted) => {
    const found = processInfo.filter(({ type }) => type === wanted);
    // A spare process waits for the next page; the tab's is the larger.
    return Math.max(0, ...(await Promise.all(found.map(({ id }) => peakOfProcess(id)))));
  };
  return (await peakOf("renderer")) + (provider === "webgpu" ? await peakOf("GPU") : 0);
}

/** Nothing for one that ends just now. */
async function peakOfProcess(id) {
  const status = await readFile(`/proc/${id}/status`, "utf8").catch(() => "");
  const [, kibibytes = 0] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  return 1024 * Number(kibibytes);
}
