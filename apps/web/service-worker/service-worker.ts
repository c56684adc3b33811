/**
 * Keeps the page for use without a network: the page and its scripts at once, the runtime and the embedded model when the
 * page asks. Requests to other origins are left alone.
 */
import { isolated } from "./isolated.js";
import { type KeptFiles, keptFiles, type PageFile } from "./kept-files.js";
import type { Report, Wish } from "./messages.js";

/** All files of this version of the page; the build writes them here. */
declare const PAGE_FILES: readonly PageFile[];
declare const self: ServiceWorkerGlobalScope;

const CACHE = "kvfold-page";
/** Folders that are too large to be loaded before anybody uses the page. */
const LATER = ["ort/", "demo/"];

const base = self.registration.scope;
/** Past the browser's own cache, which may hold a file of the version before. */
const fetchFile = (url: string) => fetch(url, { cache: "no-cache" });
let opened: Promise<KeptFiles> | undefined;
const kept = () =>
  (opened ??= caches.open(CACHE).then((cache) => keptFiles(cache, base, PAGE_FILES, fetchFile)));

self.addEventListener("install", (event) => event.waitUntil(keepPage()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));

self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method !== "GET" || !url.startsWith(base)) return;
  const path = new URL(url).pathname.slice(new URL(base).pathname.length).replace(/^index\.html$/, "");
  event.respondWith(answer(event.request, path));
});

self.addEventListener("message", (event: ExtendableMessageEvent) => {
  const wish = event.data as Wish;
  const report = (message: Report) => event.source?.postMessage(message);
  if (wish.type === "keep") event.waitUntil(keepMore(wish.beginnings, report));
  else event.waitUntil(self.skipWaiting());
});

async function keepPage(): Promise<void> {
  const page = PAGE_FILES.filter(({ path }) => !LATER.some((folder) => path.startsWith(folder)));
  await (await kept()).keep(page);
}

async function takeOver(): Promise<void> {
  await (await kept()).dropOthers();
  await self.clients.claim();
}

async function answer(request: Request, path: string): Promise<Response> {
  return isolated((await (await kept()).answer(path)) ?? (await fetch(request)));
}

async function keepMore(beginnings: readonly string[], report: (message: Report) => void): Promise<void> {
  const wanted = PAGE_FILES.filter(({ path }) => beginnings.some((beginning) => path.startsWith(beginning)));
  try {
    const progress = (done: number, total: number) => report({ type: "progress", kept: done, total });
    await (await kept()).keep(wanted, progress);
  } catch (error) {
    report({ type: "failed", message: describe(error) });
  }
}

/** Browsers say no more than that a request failed. */
function describe(error: unknown): string {
  if (error instanceof TypeError) return "the host of this page cannot be reached.";
  return error instanceof Error ? error.message : String(error);
}
