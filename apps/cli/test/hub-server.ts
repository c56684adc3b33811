/**
 * A Hub for tests, with the endpoints that `@huggingface/hub` calls: a model at a revision, the tree of a commit, and
 * files, large ones by way of a redirect to a storage on another host, which takes no tokens.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { COMMIT, hubModel } from "../../../tooling/testing/hub-model.mjs";
import { listen } from "../../../tooling/testing/listen.mjs";

export const MODEL = "someone/tiny-model";
export { COMMIT };
export const TOKEN = "hf_opensesame";
/** Files below this lie in git itself, so that the Hub keeps no SHA-256 of them. */
const LARGE_BYTES = 1024;

/** A running Hub. What is not readonly may be changed while it runs. */
export interface TestHub {
  readonly url: string;
  /** Its one model, by file name. */
  files: ReadonlyMap<string, Uint8Array>;
  /** What branches, tags and commits stand for. */
  readonly revisions: Map<string, string>;
  /** Who may see the model, and who may read its files. */
  access: "open" | "private" | "gated";
  /** After how many bytes the next answers with a large file break off, one number for each answer. */
  breaks: number[];
  /** After how many bytes all answers with a large file fall silent. */
  silentAfter: number | undefined;
  /** What the storage has in place of a file. */
  readonly damaged: Map<string, Uint8Array>;
  /** An answer to everything. */
  override: ((response: ServerResponse) => unknown) | undefined;
  /** Requests so far: `api …`, `<file> <first byte>-`. */
  readonly log: string[];
  close(): Promise<void>;
}

/** Starts a Hub that has one model. */
export async function startHub(files: ReadonlyMap<string, Uint8Array>): Promise<TestHub> {
  const storage = await listenForPages((request, response) => answerStorage(hub, request, response));
  const server = await listenForPages((request, response) => answerHub(hub, storage.url, request, response));
  const hub: TestHub = {
    url: server.url,
    files,
    revisions: new Map([
      ["main", COMMIT],
      [COMMIT, COMMIT],
    ]),
    access: "open",
    breaks: [],
    silentAfter: undefined,
    damaged: new Map(),
    override: undefined,
    log: [],
    close: async () => void (await Promise.all([server.close(), storage.close()])),
  };
  return hub;
}

/** Pages of other origins may ask the Hub, too. */
const listenForPages = (handler: (request: IncomingMessage, response: ServerResponse) => unknown) =>
  listen((request, response) => {
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-expose-headers", "link, x-error-code, x-error-message, x-linked-etag");
    return handler(request, response);
  });

function answerHub(
  hub: TestHub,
  storage: string,
  request: IncomingMessage,
  response: ServerResponse,
): unknown {
  if (hub.override !== undefined) return hub.override(response);
  const { pathname, searchParams } = new URL(request.url!, hub.url);
  const [, api, revision, page] =
    /^\/(?:api\/models\/)?someone\/tiny-model\/(revision|tree|resolve)\/([^/]+)(?:\/(.*))?$/.exec(pathname) ??
    [];
  const refusal = refuse(hub, request, api, decodeURIComponent(revision ?? ""));
  if (refusal !== undefined)
    return answerJson(response, refusal.status, { error: refusal.message }, refusal.headers);
  const commit = hub.revisions.get(decodeURIComponent(revision!))!;
  if (api === "revision") {
    hub.log.push("model");
    const access = { isPrivate: hub.access === "private", isGated: hub.access === "gated" };
    return answerJson(response, 200, hubModel(MODEL, { commit, ...access }));
  }
  if (api === "tree") {
    hub.log.push("tree");
    return answerTree(hub, { folder: page ?? "", query: searchParams }, request, response);
  }
  return answerFile(hub, storage, page!, request, response);
}

interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** As huggingface.co refuses: what is private and what is missing look alike without a token. */
function refuse(
  { access, revisions }: TestHub,
  { headers }: IncomingMessage,
  api: string | undefined,
  revision: string,
): Refusal | undefined {
  const { authorization } = headers;
  const refusal = (status: number, code: string, message: string): Refusal => ({
    status,
    message,
    headers:
      code === "" ? { "x-error-message": message } : { "x-error-code": code, "x-error-message": message },
  });
  const known = authorization === `Bearer ${TOKEN}`;
  if (authorization !== undefined && !known)
    return refusal(401, "", "Invalid credentials in Authorization header");
  if (api === undefined || (access === "private" && !known))
    return refusal(known ? 404 : 401, "RepoNotFound", "Repository not found");
  if (!revisions.has(revision)) return refusal(404, "RevisionNotFound", `Invalid rev id: ${revision}`);
  if (access === "gated" && api === "resolve" && !known)
    return refusal(401, "GatedRepo", "Access to this resource is restricted");
  return undefined;
}

/** The tree in pages of two entries: a client has to follow the links. */
function answerTree(
  hub: TestHub,
  { folder, query }: { readonly folder: string; readonly query: URLSearchParams },
  request: IncomingMessage,
  response: ServerResponse,
): unknown {
  const inFolder = [...hub.files].filter(([path]) => path.startsWith("..") || folderOf(path) === folder);
  const entries = inFolder.map(([path, bytes]) => ({
    type: "file",
    path,
    size: bytes.byteLength,
    oid: createHash("sha1").update(bytes).digest("hex"),
    ...(bytes.byteLength < LARGE_BYTES
      ? {}
      : { lfs: { oid: sha256(bytes), size: bytes.byteLength, pointerSize: 134 } }),
  }));
  const directory = { type: "directory", path: "onnx", size: 0, oid: "0".repeat(40) };
  const start = Number(query.get("cursor") ?? 0);
  const all = folder === "" ? [directory, ...entries] : entries;
  const { pathname } = new URL(request.url!, hub.url);
  const next = `<${hub.url}${pathname}?recursive=false&expand=false&cursor=${start + 2}>; rel="next"`;
  const more: Record<string, string> = start + 2 < all.length ? { link: next } : {};
  return answerJson(response, 200, all.slice(start, start + 2), more);
}

const folderOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

function answerFile(
  hub: TestHub,
  storage: string,
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): unknown {
  const bytes = hub.files.get(name);
  if (bytes === undefined) {
    return answerJson(response, 404, { error: "Entry not found" }, { "x-error-code": "EntryNotFound" });
  }
  if (bytes.byteLength < LARGE_BYTES) return answerBytes(hub, name, bytes, request, response);
  const linked = { "x-linked-size": bytes.byteLength, "x-linked-etag": `"${sha256(bytes)}"` };
  return response.writeHead(302, { location: `${storage}/${name}?signature=1`, ...linked }).end();
}

function answerStorage(hub: TestHub, request: IncomingMessage, response: ServerResponse): unknown {
  const name = new URL(request.url!, hub.url).pathname.slice(1);
  if (request.headers.authorization !== undefined)
    return answerJson(response, 400, { error: "two ways to sign in" });
  return answerBytes(hub, name, hub.damaged.get(name) ?? hub.files.get(name)!, request, response);
}

function answerBytes(
  hub: TestHub,
  name: string,
  bytes: Uint8Array,
  { headers }: IncomingMessage,
  response: ServerResponse,
): unknown {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  const start = Number(first ?? 0);
  const end = last ? Math.min(Number(last) + 1, bytes.byteLength) : bytes.byteLength;
  const isProbe = start === 0 && end === 1;
  if (!isProbe) hub.log.push(`${name} ${start}-`);
  response.writeHead(first === undefined ? 200 : 206, {
    etag: `"${sha256(bytes)}"`,
    "accept-ranges": "bytes",
    "content-length": end - start,
    ...(first === undefined ? {} : { "content-range": `bytes ${start}-${end - 1}/${bytes.byteLength}` }),
  });
  const large = !isProbe && bytes.byteLength >= LARGE_BYTES;
  const broken = large ? hub.breaks.shift() : undefined;
  const limit = broken ?? (large ? hub.silentAfter : undefined);
  if (limit === undefined || start + limit >= end) return response.end(bytes.subarray(start, end));
  return response.write(bytes.subarray(start, start + limit), () => {
    if (broken !== undefined) response.destroy();
  });
}

function answerJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): unknown {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
  return response.end(JSON.stringify(body));
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
