import type { Report, Wish } from "../../service-worker/messages.js";
import { messageOf } from "../ui/format.js";
import { newVersion, offlineState } from "./offline-state.js";

/** What a visit without a network needs besides the page. */
const NEEDED = ["demo/", "ort/ort-wasm-simd-threaded."];
/** ONNX Runtime for GPUs, twice as large. */
const NEEDED_WITH_GPU = ["ort/ort-wasm-simd-threaded.asyncify."];

/** Has the page kept for use without a network, once it is loaded. */
export function startOffline(): void {
  const { serviceWorker } = navigator;
  // Absent on pages that came without HTTPS, and where the user forbids storage.
  if (serviceWorker === undefined) return;
  watchForUse();
  serviceWorker.addEventListener("message", ({ data }: MessageEvent<Report>) => show(data));
  serviceWorker.addEventListener("controllerchange", () => {
    if (newVersion.value !== undefined || mayReload()) location.reload();
    else keepOrWait();
  });
  const start = () =>
    void serviceWorker.register("./service-worker.js").then(watchForVersions, (error: unknown) => {
      offlineState.value = { kind: "failed", message: messageOf(error) };
    });
  if (document.readyState === "complete") start();
  else addEventListener("load", start, { once: true });
  if (serviceWorker.controller !== null) keepOrWait();
}

/** Asks for all that a visit without a network needs. */
export function keepForOffline(): void {
  const wish: Wish = {
    type: "keep",
    beginnings: "gpu" in navigator ? [...NEEDED, ...NEEDED_WITH_GPU] : NEEDED,
  };
  navigator.serviceWorker.controller?.postMessage(wish);
}

/** Leaves this version of the page for the one that waits. */
export function useNewVersion(): void {
  newVersion.value?.postMessage({ type: "take-over" } satisfies Wish);
}

/**
 * A host without the headers of isolated pages gives a page of one thread. Loaded again, it comes from the service worker,
 * with the headers; not when somebody has begun to use it.
 */
const mayReload = (): boolean => !crossOriginIsolated && !used;

let used = false;

function watchForUse(): void {
  for (const event of ["pointerdown", "keydown", "dragenter"])
    addEventListener(
      event,
      () => {
        used = true;
      },
      { once: true, capture: true },
    );
}

/** Keeps the rest by itself, except on connections that cost by the byte. */
function keepOrWait(): void {
  if (savesData()) offlineState.value = { kind: "page" };
  else requestWhenIdle(keepForOffline);
}

function savesData(): boolean {
  const { connection } = navigator as { readonly connection?: { saveData?: boolean; type?: string } };
  return connection?.saveData === true || connection?.type === "cellular";
}

/** Safari has no idle callbacks. */
const requestWhenIdle = (work: () => void): void => {
  if ("requestIdleCallback" in window) requestIdleCallback(work, { timeout: 5_000 });
  else setTimeout(work, 2_000);
};

function show(report: Report): void {
  if (report.type === "failed") offlineState.value = { kind: "failed", message: report.message };
  else {
    const { kept, total } = report;
    offlineState.value = kept === total ? { kind: "kept", bytes: total } : { kind: "keeping", kept, total };
  }
}

function watchForVersions(registration: ServiceWorkerRegistration | undefined): void {
  // Browsers that a test has told to block service workers say nothing of it.
  if (registration === undefined) return;
  const look = () => {
    // The first version does not wait for anything.
    if (registration.active !== null && registration.waiting !== null)
      newVersion.value = registration.waiting;
  };
  look();
  registration.addEventListener("updatefound", () =>
    registration.installing?.addEventListener("statechange", look),
  );
}
