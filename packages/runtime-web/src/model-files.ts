import { RuntimeError, throwIfAborted } from "@kvfold/runtime";
import { keptUrl } from "./model-storage.js";
import type { LoadProgress, WebModelSource } from "./web-model-source.js";

/** A file of a model on its way in. */
export interface IncomingFile {
  readonly stage: LoadProgress["stage"];
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** A hint: what a server says of a compressed file is another file's size. */
  readonly byteLength: number | undefined;
  /** Goes into storage with the file. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The files of one model, by the names that its graph gives them. */
export interface ModelFiles {
  /** Name of the graph's own file. */
  readonly model: string;
  /** Under which address a file is kept in storage; undefined where it never is. */
  readonly key?: (name: string) => string;
  /** How errors call a file. */
  readonly label: (name: string) => string;
  /** @throws {RuntimeError} `model-unreadable` when there is no such file. */
  readonly open: (name: string, signal: AbortSignal | undefined) => Promise<IncomingFile>;
  /** Whether a stored file is still what its source has. Without, it always is. */
  readonly isCurrent?: (name: string, stored: Response, signal: AbortSignal | undefined) => Promise<boolean>;
}

/** Headers of a response by which a later version of a file is told from it. */
const VERSION_HEADERS = ["etag", "last-modified", "content-length"];

/** Finds the files that a source names. @throws {RuntimeError} `model-unreadable` when picked files hold no model. */
export function modelFiles(source: WebModelSource): ModelFiles {
  if ("url" in source) return filesAt(new URL(source.url, globalThis.location?.href));
  if ("kept" in source) return keptFiles(source.kept);
  return pickedFiles(source);
}

function filesAt(base: URL): ModelFiles {
  const model = base.pathname.slice(base.pathname.lastIndexOf("/") + 1);
  const address = (name: string): string => (name === model ? base.href : beside(base, name));
  return {
    model,
    key: address,
    label: address,
    open: (name, signal) => download(address(name), signal),
    isCurrent: (name, stored, signal) => isUnchanged(address(name), stored, signal),
  };
}

/**
 * The address of a file in the model's folder. The name is untrusted: as a path it has to be encoded (`a#b` is a file
 * name), it must not leave the folder, and it gets nothing of the page's query, which may hold a secret.
 */
function beside(base: URL, name: string): string {
  const path = name.split("/").map(encodeURIComponent).join("/");
  const folder = base.pathname.slice(0, base.pathname.lastIndexOf("/") + 1);
  const url = URL.canParse(path, base) ? new URL(path, base) : undefined;
  if (url?.origin === base.origin && url.pathname.startsWith(folder)) return url.href;
  throw missing(`${JSON.stringify(name)} in the folder of ${base.href}`, "an address outside of it");
}

async function download(url: string, signal: AbortSignal | undefined): Promise<IncomingFile> {
  const response = await request(url, signal, "GET").catch((cause: unknown) => {
    throwIfAborted(signal);
    throw missing(
      url,
      `no answer (${String(cause)}): is the server up, and does it let this page read from it (CORS)?`,
      cause,
    );
  });
  if (!response.ok || response.body === null) throw missing(url, `status ${response.status}`);
  const size = response.headers.get("content-length");
  return {
    stage: "download",
    body: response.body,
    byteLength: size === null || response.headers.has("content-encoding") ? undefined : Number(size),
    headers: Object.fromEntries(
      VERSION_HEADERS.flatMap((name) => {
        const value = response.headers.get(name);
        return value === null ? [] : [[name, value]];
      }),
    ),
  };
}

/** Past the browser's HTTP cache: what is kept is kept once. */
const request = (url: string, signal: AbortSignal | undefined, method: string): Promise<Response> =>
  fetch(url, { method, cache: "no-store", ...(signal === undefined ? {} : { signal }) });

/** A server that is out of reach, or says nothing of versions, leaves no choice but the stored file. */
async function isUnchanged(url: string, stored: Response, signal: AbortSignal | undefined): Promise<boolean> {
  const response = await request(url, signal, "HEAD").catch(() => undefined);
  if (!response?.ok) return true;
  return VERSION_HEADERS.every((name) => {
    const [then, now] = [stored.headers.get(name), response.headers.get(name)];
    return then === null || now === null || then === now;
  });
}

function keptFiles(name: string): ModelFiles {
  const model = `${name} (graph)`;
  return {
    model,
    key: (file) => keptUrl(name, file === model ? "" : file),
    label: (file) => file,
    open: async () => {
      throw missing(
        `a model kept as ${name}`,
        "none in this browser's storage: load it from its files, with keepAs",
      );
    },
  };
}

function pickedFiles({ files, model, keepAs }: Extract<WebModelSource, { files: unknown }>): ModelFiles {
  const graph = pickGraph(files, model);
  const found = new Map(files.map((file) => [file.name, file]));
  return {
    model: graph.name,
    ...(keepAs === undefined
      ? {}
      : { key: (name: string) => keptUrl(keepAs, name === graph.name ? "" : name) }),
    label: (name) => name,
    open: async (name) => {
      const file = name === graph.name ? graph : found.get(name.slice(name.lastIndexOf("/") + 1));
      if (file === undefined)
        throw missing(name, `only ${list(files)}: pick it together with ${graph.name}, which needs it`);
      return { stage: "read", body: file.stream(), byteLength: file.size, headers: {} };
    },
  };
}

function pickGraph(files: readonly File[], model: string | undefined): File {
  const graphs = files.filter(({ name }) => (model === undefined ? isStandardGraph(name) : name === model));
  if (graphs.length === 1) return graphs[0]!;
  throw missing(
    model ?? "one file that ends in .onnx",
    graphs.length === 0 ? list(files) : `${list(graphs)}: say with model which one`,
  );
}

/** Delta graphs are named by their standard graphs; a policy graph is loaded only where `model` names it, quantised caches or not. */
const isStandardGraph = (name: string): boolean =>
  name.endsWith(".onnx") && !/_(delta|policy(_int[48])?)\.onnx$/.test(name);

const list = (files: readonly File[]): string =>
  files.length === 0 ? "no files" : files.map(({ name }) => name).join(", ");

const missing = (expected: string, found: string, cause?: unknown): RuntimeError =>
  new RuntimeError("model-unreadable", `expected ${expected}, found ${found}`, { cause });
