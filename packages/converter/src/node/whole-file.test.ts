import { existsSync } from "node:fs";
import fs, { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { writeNewFile, writeWholeFile } from "./whole-file.js";

let root: string;
let path: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kvfold-file-"));
  path = join(root, "moments");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const read = () => readFile(path, "utf8");
const failure = (code: string, message: string | RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string });

describe("writeWholeFile", () => {
  it("writes a file, and nothing else", async () => {
    await writeWholeFile(path, "new");
    expect(await read()).toBe("new");
    expect(await readdir(root)).toEqual(["moments"]);
  });

  it("writes pieces one after the other", async () => {
    await writeWholeFile(path, [Uint8Array.of(97, 98), new Uint8Array(), Uint8Array.of(99)]);
    expect(await read()).toBe("abc");
  });

  it("leaves a file that came meanwhile alone, unless it may be replaced", async () => {
    await writeFile(path, "dear to someone");
    await expect(writeWholeFile(path, "new")).rejects.toThrow(
      failure("output-exists", /moments was written by something else meanwhile/),
    );
    expect(await read()).toBe("dear to someone");
    await writeWholeFile(path, "new", { existing: "replace" });
    expect(await read()).toBe("new");
    expect(await readdir(root)).toEqual(["moments"]);
  });

  it("lets one of two win, whole", async () => {
    const texts = ["a".repeat(1000), "b".repeat(1000)];
    const outcomes = await Promise.allSettled(texts.map((text) => writeWholeFile(path, text)));
    const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
    expect(outcomes[1 - winner]).toMatchObject({ reason: { code: "output-exists" } });
    expect(await read()).toBe(texts[winner]);
    expect(await readdir(root)).toEqual(["moments"]);
  });

  it.each(["refuse", "replace"] as const)("writes where a link leads, which stays (%s)", async (existing) => {
    await mkdir(join(root, "elsewhere"));
    await symlink(join("elsewhere", "real"), path);
    await writeWholeFile(path, "new", { existing });
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    expect(await readFile(join(root, "elsewhere", "real"), "utf8")).toBe("new");
    expect(await readdir(join(root, "elsewhere"))).toEqual(["real"]);
  });

  it("names the file that could not be written, not a temporary one", async () => {
    const nowhere = join(root, "nowhere", "moments");
    await expect(writeWholeFile(nowhere, "new")).rejects.toThrow(
      failure("write-failed", /nowhere\/moments could not be written \(ENOENT.*open '.*nowhere\/moments'\)$/),
    );
  });

  it("copies where the file system knows no hard links, and still replaces nothing", async () => {
    vi.spyOn(fs, "link").mockRejectedValue(Object.assign(new Error("unsupported"), { code: "EPERM" }));
    syncBuiltinESMExports();
    onTestFinished(() => {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    });
    await writeWholeFile(path, "new");
    await expect(writeWholeFile(path, "newer")).rejects.toThrow(failure("output-exists", /meanwhile/));
    expect(await read()).toBe("new");
    expect(await readdir(root)).toEqual(["moments"]);
  });
});

describe("writeNewFile", () => {
  it("follows no link that was put where it writes", async () => {
    const victim = join(root, "victim");
    await symlink(victim, path);
    await expect(writeNewFile(path, "new")).rejects.toThrow(/EEXIST/);
    expect(existsSync(victim)).toBe(false);
  });
});
