import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { COMMIT, hubModel } from "../../../tooling/testing/hub-model.mjs";
import { listen } from "../../../tooling/testing/listen.mjs";
import { quietContext } from "../src/jobs/job.js";
import { pushModel } from "../src/jobs/push.js";
import { failureOf, temporaryFolder } from "./support.js";

const TOKEN = "hf_opensesame";
/** Larger files go to the storage. */
const LARGE_BYTES = 1000;

type Json = Record<string, unknown>;

/** A Hub to push to: `files` are those of its one repository, which is not there while they are undefined. */
async function startHub(initial?: readonly string[]) {
  let files = initial;
  const log: string[] = [];
  const stored = new Map<string, Buffer>();
  const commits: Json[][] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { pathname } = new URL(request.url!, "http://hub");
    log.push(`${request.method} ${pathname}`);
    const json = (value: unknown, status = 200, headers = {}) =>
      response
        .writeHead(status, { "content-type": "application/json", ...headers })
        .end(JSON.stringify(value));
    const read = () => JSON.parse(body.toString()) as Json;
    if (request.method === "PUT") {
      stored.set(pathname, body);
      return response.end();
    }
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return json({ error: "no" }, 403);
    if (pathname === "/api/repos/create") {
      files = [];
      log.push(String(read().visibility));
      return json({ url: "…", id: "me/half" });
    }
    if (files === undefined) return json({ error: "none" }, 404, { "x-error-code": "RepoNotFound" });
    if (pathname.includes("/revision/")) return json(hubModel("me/half"));
    if (pathname.includes("/tree/"))
      return json(files.map((path) => ({ type: "file", path, size: 1, oid: "1" })));
    if (pathname.includes("/preupload/")) {
      const asked = read().files as { readonly path: string; readonly size: number }[];
      return json({
        files: asked.map(({ path, size }) => ({ path, uploadMode: size > LARGE_BYTES ? "lfs" : "regular" })),
      });
    }
    if (pathname.endsWith("/objects/batch")) {
      const objects = read().objects as { readonly oid: string }[];
      const upload = (oid: string) => ({ upload: { href: `${url}/storage/${oid}` } });
      return json({ transfer: "basic", objects: objects.map(({ oid }) => ({ oid, actions: upload(oid) })) });
    }
    commits.push(
      body
        .toString()
        .split("\n")
        .map((line) => JSON.parse(line) as Json),
    );
    return json({ commitOid: COMMIT, commitUrl: "…", hookOutput: "" });
  };
  const { url, close } = await listen((request, response) => void answer(request, response));
  onTestFinished(close);
  return { url, log, stored, commits };
}

const large = Buffer.alloc(4000, 7);

async function outputFolder(): Promise<string> {
  const folder = join(await temporaryFolder(), "half");
  await mkdir(join(folder, "onnx"), { recursive: true });
  await writeFile(join(folder, "kvfold.json"), "{}");
  await writeFile(join(folder, "README.md"), 'pipeline("text-generation", "OWNER/NAME")');
  await writeFile(join(folder, "onnx", "model.onnx_data"), large);
  await writeFile(join(folder, ".secret"), "hidden");
  return folder;
}

const push = async (hub: { readonly url: string }, options: object = {}) =>
  pushModel(
    {
      folder: await outputFolder(),
      repository: "me/half",
      hub: { hubUrl: hub.url, token: TOKEN, cacheFolder: "" },
      existing: "refuse",
      ...options,
    },
    quietContext,
  );

describe("pushModel", () => {
  it("makes a repository and commits all files, large ones by way of the storage", async () => {
    const hub = await startHub();
    expect(await push(hub, { visibility: "private" })).toEqual({
      repository: "me/half",
      url: `${hub.url}/me/half`,
      commit: COMMIT,
      created: true,
      files: 3,
    });
    expect(hub.log).toContain("private");
    const oid = createHash("sha256").update(large).digest("hex");
    expect(hub.stored.get(`/storage/${oid}`)).toEqual(large);
    const [commit] = hub.commits;
    const values = commit!.map(({ key, value }) => ({ key, ...(value as Json) }) as Json);
    expect(values[0]).toMatchObject({ key: "header", summary: "Add a model folded by kvfold" });
    const card = Buffer.from('pipeline("text-generation", "me/half")').toString("base64");
    expect(values.slice(1)).toEqual([
      { key: "file", path: "README.md", content: card, encoding: "base64" },
      expect.objectContaining({ key: "file", path: "kvfold.json" }),
      { key: "lfsFile", path: "onnx/model.onnx_data", algo: "sha256", size: 4000, oid },
    ]);
  });

  it("does not write over a repository that has files, unless told to, and then over no commit unseen", async () => {
    const hub = await startHub([".gitattributes", "model.safetensors"]);
    expect(await failureOf(push(hub))).toMatchObject({
      code: "output-exists",
      message: expect.stringContaining("has files already, model.safetensors among them") as string,
    });
    expect(hub.commits).toEqual([]);
    expect(await push(hub, { existing: "replace" })).toMatchObject({ created: false });
    expect(hub.commits[0]![0]).toMatchObject({ value: { parentCommit: COMMIT } });
    expect(await push(await startHub([".gitattributes"]))).toMatchObject({ created: false });
  });

  it("says what is missing", async () => {
    const hub = await startHub([]);
    const settings = { hubUrl: hub.url, cacheFolder: "" };
    expect(await failureOf(push(hub, { hub: settings }))).toMatchObject({ code: "access-denied" });
    expect(await failureOf(push(hub, { hub: { ...settings, token: "hf_other" } }))).toMatchObject({
      code: "access-denied",
    });
    expect(await failureOf(push(hub, { repository: "half" }))).toMatchObject({ code: "usage" });
    expect(await failureOf(push(hub, { folder: await temporaryFolder() }))).toMatchObject({
      code: "unreadable-file",
    });
    expect(await failureOf(push(hub, { folder: "/nowhere" }))).toMatchObject({ code: "unreadable-file" });
    expect(hub.commits).toEqual([]);
  });

  it("stops when it is interrupted", async () => {
    const context = { ...quietContext, signal: { aborted: true } };
    const { url: hubUrl, close } = await listen(() => {});
    onTestFinished(close);
    const options = {
      repository: "me/half",
      existing: "refuse",
      hub: { hubUrl, token: TOKEN, cacheFolder: "" },
    } as const;
    const failed = pushModel({ ...options, folder: await outputFolder() }, context);
    expect(await failureOf(failed)).toMatchObject({
      code: "interrupted",
      message: "interrupted; nothing was committed",
    });
  });
});
