import { describe, expect, it } from "vitest";
import { isolated } from "../service-worker/isolated.js";
import { keptFiles, type PageFile } from "../service-worker/kept-files.js";

const BASE = "https://example.com/kvfold/";

/** As much of a browser's cache as is used. */
function memoryCache(): Cache {
  const held = new Map<string, Response>();
  const keys = async () => [...held.keys()].map((url) => ({ url }));
  return {
    match: async (url: string) => held.get(url)?.clone(),
    put: async (url: string, response: Response) => void held.set(url, response),
    delete: async (url: string) => held.delete(url),
    keys,
  } as unknown as Cache;
}

const file = (path: string, revision: string): PageFile => ({ path, revision, bytes: 10 });

/** A host whose files are their own addresses, until it goes away. */
function host() {
  const asked: string[] = [];
  const state = { down: false };
  const fetchFile = async (url: string) => {
    asked.push(url.slice(BASE.length));
    if (state.down) throw new TypeError("Failed to fetch");
    return url.endsWith("missing") ? new Response("", { status: 404 }) : new Response(url);
  };
  return { asked, state, fetchFile };
}

describe("kept files", () => {
  it("answer without their host, the page itself among them", async () => {
    const { asked, state, fetchFile } = host();
    const files = [file("", "1"), file("a.js", "1"), file("big", "1")];
    const kept = keptFiles(memoryCache(), BASE, files, fetchFile);
    const progress: number[] = [];
    await kept.keep(files.slice(0, 2), (done) => progress.push(done));
    expect(progress).toEqual([0, 10, 20]);
    state.down = true;
    expect(await (await kept.answer(""))!.text()).toBe(BASE);
    expect(await (await kept.answer("a.js"))!.text()).toBe(`${BASE}a.js`);
    await expect(kept.answer("big")).rejects.toThrow("Failed to fetch");
    expect(await kept.answer("other")).toBeUndefined();
    expect(asked).toEqual(["", "a.js", "big"]);
  });

  it("are kept when they are used", async () => {
    const { asked, fetchFile } = host();
    const kept = keptFiles(memoryCache(), BASE, [file("big", "1")], fetchFile);
    await kept.answer("big");
    await kept.answer("big");
    expect(asked).toEqual(["big"]);
  });

  it("of another version replace those that changed, and no more", async () => {
    const cache = memoryCache();
    const { asked, fetchFile } = host();
    const before = [file("same", "1"), file("changed", "1"), file("gone", "1")];
    await keptFiles(cache, BASE, before, fetchFile).keep(before);
    const after = [file("same", "1"), file("changed", "2")];
    const kept = keptFiles(cache, BASE, after, fetchFile);
    await kept.keep(after);
    await kept.dropOthers();
    expect(asked).toEqual(["same", "changed", "gone", "changed"]);
    expect((await cache.keys()).map(({ url }) => url.slice(BASE.length))).toEqual([
      "same?revision=1",
      "changed?revision=2",
    ]);
  });

  it("that are not there are named, and not kept", async () => {
    const cache = memoryCache();
    const kept = keptFiles(cache, BASE, [file("missing", "1")], host().fetchFile);
    await expect(kept.keep([file("missing", "1")])).rejects.toThrow(
      "missing: expected a file, found status 404",
    );
    expect(await cache.keys()).toEqual([]);
  });
});

it("isolated responses keep their content, status and type", async () => {
  const response = isolated(
    new Response("code", { status: 203, headers: { "content-type": "text/javascript" } }),
  );
  expect(response.status).toBe(203);
  expect(Object.fromEntries(response.headers)).toEqual({
    "content-type": "text/javascript",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
  });
  expect(await response.text()).toBe("code");
});
