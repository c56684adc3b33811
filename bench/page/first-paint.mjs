/** How soon a visitor sees something, and what it takes. */

/** "Fast 3G" of Chromium's developer tools: bytes a second, and milliseconds for each request. */
const FAST_3G = { offline: false, downloadThroughput: 180_000, uploadThroughput: 84_375, latency: 562.5 };

export const CONNECTIONS = {
  "as the machine is": { cpu: 1 },
  "Fast 3G, CPU four times slower": { cpu: 4, network: FAST_3G },
};

/** A first visit: nothing in any cache. Times in milliseconds from the beginning of the navigation. */
export async function firstVisit(browser, url, { cpu, network }) {
  // Its reload, which threads need on such a host, would begin the measurement again.
  const context = await browser.newContext({ serviceWorkers: "block" });
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.enable");
  if (network) await devtools.send("Network.emulateNetworkConditions", network);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: cpu });
  const requests = watchRequests(devtools);
  await page.addInitScript(observePaints);
  await page.goto(url, { waitUntil: "load" });
  await page.waitForFunction(() => performance.getEntriesByName("usable").length > 0);
  // The last layout shifts may come after.
  await page.waitForTimeout(500);
  const times = await page.evaluate(readPaints);
  await context.close();
  return { ...times, requests: [...requests.values()] };
}

/** Compressed bytes of the requests whose types are given: `Document`, `Script`, `Stylesheet`. */
export const bytesOf = (requests, ...types) =>
  requests.filter(({ type }) => types.includes(type)).reduce((sum, { bytes }) => sum + bytes, 0);

function watchRequests(devtools) {
  const requests = new Map();
  devtools.on("Network.responseReceived", ({ requestId, type, response }) => {
    if (response.url.startsWith("http")) requests.set(requestId, { type, url: response.url, bytes: 0 });
  });
  devtools.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const request = requests.get(requestId);
    if (request) request.bytes = encodedDataLength;
  });
  return requests;
}

/* Both run in the page. */

function observePaints() {
  globalThis.seen = { largest: 0, shift: 0 };
  new PerformanceObserver((list) => {
    globalThis.seen.largest = list.getEntries().at(-1).startTime;
  }).observe({ type: "largest-contentful-paint", buffered: true });
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput } of list.getEntries())
      if (!hadRecentInput) globalThis.seen.shift += value;
  }).observe({ type: "layout-shift", buffered: true });
}

function readPaints() {
  const paint = (name) => performance.getEntriesByName(name)[0]?.startTime;
  return {
    firstPaint: paint("first-paint"),
    firstContent: paint("first-contentful-paint"),
    usable: paint("usable"),
    ...globalThis.seen,
  };
}
